import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { webhook } from './context.mjs';

const require = createRequire(import.meta.url);
const { KommoBridgeTrigger } = require('../dist/nodes/KommoBridgeTrigger/KommoBridgeTrigger.node.js');
const trigger = new KommoBridgeTrigger();
const hear = (context) => trigger.webhook.call(context);
const DUE = { type: 'followup.due', timestamp: '2026-11-22T16:30:00Z', data: { lead: { id: 'one' }, text: 'Oi, Maria! Ficou alguma dúvida?' } };
const NEWS = { type: 'agent.paused', timestamp: '2026-11-22T16:30:00Z', data: { lead: { id: 'one' }, reason: 'Ana wrote' } };

test('an event starts the workflow with what it says and its id', async () => {
	const context = webhook({ event: DUE });
	const { workflowData, webhookResponse } = await hear(context);
	assert.deepEqual(workflowData, [[{ json: { id: 'evt_1', ...DUE } }]]);
	assert.deepEqual(webhookResponse, {});
});

for (const [what, how] of Object.entries({
	'another secret': { secret: 'whsec_AAAA' },
	'an old call': { sentAt: Date.now() / 1000 - 301 },
	'a call from the future': { sentAt: Date.now() / 1000 + 301 },
	'no signature': { signature: '' },
	'a signature of another scheme': { signature: 'v1a,AAAA' },
	'no id': { id: '' },
})) {
	test(`${what} starts nothing`, async () => {
		const context = webhook({ event: NEWS, ...how });
		assert.deepEqual(await hear(context), { noWebhookResponse: true });
		assert.equal(context.answer.status, 401);
	});
}

test('without a secret nothing is believed', async () => {
	const context = webhook({ event: NEWS, secret: '' });
	context.getCredentials = async () => ({ eventsSecret: '' });
	await hear(context);
	assert.equal(context.answer.status, 401);
});

test('what this workflow does not listen to is answered; a follow-up as not said', async () => {
	const news = webhook({ event: NEWS, events: ['followup.due'] });
	assert.deepEqual(await hear(news), { noWebhookResponse: true });
	assert.deepEqual(news.answer, { status: 200, body: {} });
	const due = webhook({ event: DUE, events: ['agent.paused'] });
	await hear(due);
	assert.equal(due.answer.body.skip, true);
});

for (const [responseMode, skip] of [['onReceived', undefined], ['responseNode', true]]) {
	test(`a repeat is never acted on again (${responseMode})`, async () => {
		const memory = {};
		assert.ok((await hear(webhook({ event: DUE, responseMode, memory }))).workflowData);
		const again = webhook({ event: DUE, responseMode, memory });
		assert.deepEqual(await hear(again), { noWebhookResponse: true });
		assert.equal(again.answer.body.skip, skip);
		assert.ok((await hear(webhook({ event: DUE, id: 'evt_2', responseMode, memory }))).workflowData);
	});
}

test('the memory of ids has an end', async () => {
	const memory = {};
	for (let number = 0; number < 250; number += 1) await hear(webhook({ event: NEWS, id: `evt_${number}`, memory }));
	assert.equal(memory.ids.length, 200);
});

test('every event the bridge sends can be chosen, and no other', async () => {
	const known = trigger.description.properties.find((one) => one.name === 'events').options.map((one) => one.value);
	assert.deepEqual(known.toSorted(), [
		'agent.paused', 'agent.resumed', 'followup.due', 'lead.stage_changed', 'message.delivered', 'message.due', 'message.not_delivered', 'message.received',
	]);
});
