// What n8n hands to a node, as far as ours touch it.
import { createHmac } from 'node:crypto';

export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
export const NODE = { id: 'node-1', name: 'Kommo Bridge', type: 'kommoBridge', typeVersion: 1, position: [0, 0], parameters: {} };

/** One item of an execution. `answers`: what the bridge says to each call; an Error stands for no answer. */
export function execution(parameters, answers, { continueOnFail = false } = {}) {
	const calls = [];
	const context = {
		calls,
		getInputData: () => [{ json: {} }],
		getNodeParameter: (name, _item, otherwise) => parameters[name] ?? otherwise,
		getCredentials: async () => ({ address: 'http://bridge.example/', apiKey: 'kb_1' }),
		getNode: () => NODE,
		getExecutionId: () => '17',
		getInstanceId: () => 'a'.repeat(64),
		evaluateExpression: () => 2,
		continueOnFail: () => continueOnFail,
		helpers: {
			httpRequestWithAuthentication: async (_type, request) => {
				calls.push(request);
				const answer = answers[Math.min(calls.length, answers.length) - 1];
				if (answer instanceof Error) throw answer;
				return { headers: {}, ...answer };
			},
		},
	};
	return context;
}

/** A call of the trigger's URL. */
export function webhook({ event, id = 'evt_1', secret = SECRET, sentAt = Date.now() / 1000, events, responseMode, memory = {}, signature }) {
	const body = JSON.stringify(event);
	const timestamp = String(Math.floor(sentAt));
	const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
	const signed = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
	const answer = {};
	return {
		answer,
		getRequestObject: () => ({ rawBody: Buffer.from(body), readRawBody: async () => {} }),
		getHeaderData: () => ({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature ?? `v1,old v1,${signed}` }),
		getBodyData: () => JSON.parse(body),
		getCredentials: async () => ({ eventsSecret: SECRET }),
		getNodeParameter: (name) => ({ events: events ?? [event.type], responseMode: responseMode ?? 'onReceived' })[name],
		getWorkflowStaticData: () => memory,
		getResponseObject: () => ({ status: (code) => ((answer.status = code), { json: (given) => (answer.body = given) }) }),
		helpers: { returnJsonArray: (one) => [{ json: one }] },
	};
}
