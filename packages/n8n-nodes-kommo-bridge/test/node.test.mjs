import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { execution } from './context.mjs';

const require = createRequire(import.meta.url);
const { KommoBridge } = require('../dist/nodes/KommoBridge/KommoBridge.node.js');
const node = new KommoBridge();
const REPORT = { resource: 'interaction', operation: 'report', addressKind: 'phone', address: ' +55 81 99999-0000 ', direction: 'inbound' };
const ASK = { resource: 'lead', operation: 'mayReply', addressKind: 'lid', address: '1234@lid' };
const ok = (body = {}) => ({ statusCode: 200, body });

const busy = (statusCode) => ({ statusCode, body: {}, headers: { 'retry-after': '0.01' } });
const run = async (context) => (await node.execute.call(context))[0].map((one) => one.json);

test('a report says what was given and leaves out what was not', async () => {
	const context = execution({
		...REPORT,
		messageId: 'wamid.1', text: 'oi', custom: '{"roof": "tiles"}',
		facts: { bill_value: 'R$ 4.500,00', email: '', has_solar_system: false, qualification_score: 0 },
		context: { objections_raised: 'preço, prazo ', pipeline: '' }, meeting: { id: 'evt', status: 'cancelled', starts_at: '' },
	}, [ok({ lead: { id: 'one' } })]);
	assert.deepEqual(await run(context), [{ lead: { id: 'one' } }]);
	const [request] = context.calls;
	assert.equal(`${request.method} ${request.url}`, 'POST http://bridge.example/api/v1/interactions/');
	assert.deepEqual(request.body, {
		lead: { phone: '+55 81 99999-0000', bill_value: 'R$ 4.500,00', has_solar_system: false, qualification_score: 0, custom: { roof: 'tiles' } },
		context: { objections_raised: ['preço', 'prazo'], meeting: { id: 'evt', status: 'cancelled' } },
		message: { direction: 'inbound', id: 'wamid.1', text: 'oi' },
	});
	// The message's own id is the key.
	assert.equal(request.headers['Idempotency-Key'], undefined);
});

test('facts alone are a report without a message, and an address needs no phone', async () => {
	const context = execution({ ...REPORT, addressKind: 'instagram', address: 'ana.lima', direction: '', facts: { name: 'Ana' } }, [ok()]);
	await run(context);
	assert.deepEqual(context.calls[0].body, { lead: { addresses: [{ kind: 'instagram', value: 'ana.lima' }], name: 'Ana' } });
});

for (const trouble of [429, 500, 502, 503, 504, new Error('socket hang up')]) {
	test(`after ${trouble} the same is sent again under the same key`, async () => {
		const context = execution(REPORT, [typeof trouble === 'number' ? busy(trouble) : trouble, ok({ lead: {} })]);
		await run(context);
		const keys = context.calls.map((one) => one.headers['Idempotency-Key']);
		assert.deepEqual(keys, Array(2).fill(`n8n:${'a'.repeat(16)}:17:node-1:2:0`));
		assert.deepEqual(context.calls[0].body, context.calls[1].body);
	});
}

test('while the bridge is away the agent may not reply, and nothing else is pretended', async () => {
	const [answer] = await run(execution(ASK, [busy(503)]));
	assert.equal(answer.may_reply, false);
	assert.match(answer.reason, /does not answer/);
	const context = execution(REPORT, [busy(503)]);
	await assert.rejects(run(context), /does not answer: it answered 503/);
	assert.equal(context.calls.length, 5);
});

test('a page that is not the bridge\'s is no answer of it', async () => {
	const page = { statusCode: 200, body: '<h1>Back soon</h1>', headers: { 'retry-after': '0.01' } };
	await assert.rejects(run(execution(REPORT, [page])), /is not the bridge/);
	assert.equal((await run(execution(ASK, [page, ok({ may_reply: true })])))[0].may_reply, true);
});

test('an address that leads elsewhere is told with where it leads, and not followed', async () => {
	const context = execution(REPORT, [{ statusCode: 301, body: '', headers: { location: 'https://bridge.example/api/v1/interactions/' } }]);
	await assert.rejects(run(context), /leads elsewhere: give the credential https:/);
	assert.deepEqual(context.calls.map((one) => one.disableFollowRedirect), [true]);
});

test('what is refused is not tried again, and each field is named', async () => {
	const errors = [{ field: 'lead.phone', code: 'invalid', message: 'Unusable.' }];
	const context = execution(REPORT, [{ statusCode: 400, body: { detail: 'Bad.', errors } }]);
	await assert.rejects(run(context), (error) => {
		assert.match(error.message, /lead\.phone: Unusable\./);
		return true;
	});
	assert.equal(context.calls.length, 1);
	const [answer] = await run(execution(REPORT, [{ statusCode: 409, body: { detail: 'Another body.' } }], { continueOnFail: true }));
	assert.match(answer.error, /Another body\./);
});

test('each operation makes the call of its name', async () => {
	const leadId = '0f9c';
	const made = async (parameters) => {
		const context = execution(parameters, [ok({ results: [{ id: leadId }] })]);
		await run(context);
		const [{ method, url, qs, body }] = context.calls;
		return [`${method} ${url.replace('http://bridge.example/api/v1/', '')}`, qs, body];
	};
	assert.deepEqual(await made(ASK), ['GET agent/may-reply/', { address: 'lid:1234@lid' }, undefined]);
	assert.deepEqual(await made({ ...ASK, operation: 'find' }), ['GET leads/', { address: 'lid:1234@lid', limit: 1 }, undefined]);
	assert.deepEqual(await made({ resource: 'lead', operation: 'get', leadId }), ['GET leads/0f9c/', undefined, undefined]);
	assert.deepEqual(await made({ resource: 'lead', operation: 'handOver', leadId, reason: 'wants Ana' }), ['POST leads/0f9c/handoff/', undefined, { reason: 'wants Ana' }]);
	assert.deepEqual(await made({ resource: 'lead', operation: 'giveBack', leadId }), ['DELETE leads/0f9c/handoff/', undefined, undefined]);
	assert.deepEqual(await made({ resource: 'message', operation: 'get', messageId: 'm1' }), ['GET messages/m1/', undefined, undefined]);
	assert.deepEqual(await made({ resource: 'message', operation: 'send', leadId, text: 'Oi', options: { channel: 'evo' } }), ['POST leads/0f9c/messages/', undefined, { text: 'Oi', channel: 'evo' }]);
});

test('a message that answers an event is said once, by the event', async () => {
	const context = execution({ resource: 'message', operation: 'send', leadId: 'x', text: 'Oi', options: { key: 'evt_9' } }, [ok()]);
	await run(context);
	assert.equal(context.calls[0].headers['Idempotency-Key'], 'evt_9');
});

test('an id that is empty or would lead elsewhere asks nothing else', async () => {
	await assert.rejects(run(execution({ resource: 'lead', operation: 'get', leadId: ' ' }, [ok()])), /ID is empty/);
	const context = execution({ resource: 'lead', operation: 'get', leadId: '../events' }, [ok()]);
	await run(context);
	assert.equal(context.calls[0].url, 'http://bridge.example/api/v1/leads/..%2Fevents/');
});
