import type { IDataObject } from 'n8n-workflow';

const REMEMBERED = 200;

/** Whether this id came before; remembers it. `memory` is the node's own data, which n8n keeps with the workflow. */
export function cameBefore(memory: IDataObject, id: string): boolean {
	const ids = (memory.ids as string[] | undefined) ?? [];
	if (ids.includes(id)) return true;
	memory.ids = [...ids, id].slice(-REMEMBERED);
	return false;
}

/**
 * What a repeat is answered. The bridge repeats what it got no 2xx for: where n8n answers at once that was a lost answer,
 * and else a workflow that failed or took more than ten seconds, of which nobody here knows how far it came. It is not run
 * again, so nothing is said twice; and a follow-up then counts as not said.
 */
export function answerToRepeat(type: string, isAnsweredAtOnce: boolean): IDataObject {
	if (isAnsweredAtOnce || type !== 'followup.due') return {};
	return { skip: true, reason: 'n8n began with this before and gave no answer in time: see its executions' };
}
