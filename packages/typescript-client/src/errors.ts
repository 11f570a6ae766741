/** Why a call did not do what it was for. `problem` is the answer's body; empty without an answer. */
export class BridgeError extends Error {
  constructor(message: string, readonly status: number | null = null, readonly problem: Record<string, unknown> = {}) {
    super(message);
    this.name = new.target.name;
  }

  /** Each wrong field of a call that was refused. */
  get errors(): { field: string; code: string; message: string }[] {
    return (this.problem.errors as { field: string; code: string; message: string }[] | undefined) ?? [];
  }
}

/** No answer, 429 or 5xx to the last try: the same call may be made later, under the same key. */
export class AwayError extends BridgeError {}
/** 401, 403: the key is unknown or revoked. */
export class KeyRefusedError extends BridgeError {}
/** 400, 413, 422: `errors` names each field. */
export class RefusedError extends BridgeError {}
export class NotFoundError extends BridgeError {}
/** 409: reported before in other words; the bridge knows it. */
export class KnownOtherwiseError extends BridgeError {}
/** 409: the agent may not write to this person now. */
export class MayNotReplyError extends BridgeError {}
/** 410: this person asked to be forgotten. */
export class ErasedError extends BridgeError {}

export function errorOf(status: number, problem: Record<string, unknown>, location: string | null = null): BridgeError {
  if (status < 400 && location) return new RefusedError(`the address leads elsewhere: give the client ${location}`, status, problem);
  const detail = String(problem.detail ?? `the bridge answered ${status}`);
  if (status === 429 || status >= 500) return new AwayError(detail, status, problem);
  if (status === 409 && problem.code === 'may_not_reply') return new MayNotReplyError(detail, status, problem);
  const kinds: Record<number, typeof BridgeError> = {
    401: KeyRefusedError, 403: KeyRefusedError, 404: NotFoundError, 409: KnownOtherwiseError, 410: ErasedError,
  };
  return new (kinds[status] ?? RefusedError)(detail, status, problem);
}
