// Our own client, built, makes every call to a running bridge.
import assert from 'node:assert/strict';
import { Bridge, ConversationReporter, KeyRefusedError, MayNotReplyError, NotFoundError, RefusedError } from './dist/index.js';

const address = process.env.BRIDGE;
const phone = '+5581999992222';
const bridge = new Bridge({ address, key: process.env.KEY });
const maria = new ConversationReporter(bridge, { phone });

const facts = { name: 'Maria', qualification_score: 82, bill_value: 4500, roof: 'tiles' };
const turn = await maria.heard('oi', { id: 'wamid.1', stage: 'qualificação', facts });
assert.deepEqual([turn.stage, turn.mayReply, turn.ignored], ['qualified', true, []]);
await maria.said('Olá', { id: 'wamid.2' });
assert.deepEqual((await bridge.lead(maria.leadId)).custom, { roof: 'tiles' });
assert.equal((await bridge.find({ phone })).id, maria.leadId);
assert.equal(await bridge.find({ phone: '+5581988887777' }), null);
let events = 0;
for await (const _ of bridge.timeline(maria.leadId)) events += 1;
assert.ok(events > 1);
const many = await bridge.recordMany([{ lead: { phone: '+5581977776666' } }, { lead: {} }]);
assert.deepEqual(many.map((one) => one.status), [201, 400]);
let leads = 0;
for await (const _ of bridge.leads({ limit: 1 })) leads += 1;
assert.ok(leads >= 2);
await assert.rejects(bridge.record({ lead: { phone: '12' } }), (error) => error instanceof RefusedError && error.errors[0].field === 'lead.phone');
const sent = await bridge.send(maria.leadId, 'Oi');
assert.equal((await bridge.message(sent.id)).text, 'Oi');
await maria.askForPerson('quer falar com a Ana');
assert.equal(await maria.mayReply(), false);
await assert.rejects(bridge.send(maria.leadId, 'Oi'), MayNotReplyError);
assert.equal((await bridge.giveBack(maria.leadId)).may_reply, true);
assert.equal((await maria.heard('outra coisa', { id: 'wamid.1' })).known, true);
await bridge.optOut(maria.leadId);
await bridge.erase(maria.leadId);
assert.equal((await maria.heard('oi', { id: 'wamid.1' })).reason, 'this person asked to be forgotten');
await assert.rejects(bridge.lead('0f9c7c1e-6a0b-4f5e-9d6b-1f2a3b4c5d6e'), NotFoundError);
await assert.rejects(new Bridge({ address, key: 'kb_no' }).mayReply({ phone }), KeyRefusedError);
console.log('typescript  our own client, every call');
