import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { AwayError, Bridge, ConversationReporter, ErasedError, Events, KeyRefusedError, KnownOtherwiseError, MayNotReplyError, NotFoundError, RefusedError } from '../dist/index.js';
import { secondsOf } from '../dist/client.js';
import { SECRET, fakeBridge } from '../dist/testing.js';

const phone = '+5581999990000';
const report = { lead: { phone } };

for (const trouble of [429, 500, 502, 503, 504, new Error('no answer')]) {
  test(`what may have arrived is sent again as the same: ${trouble}`, async () => {
    const { bridge, fake } = fakeBridge();
    fake.answers = [trouble, trouble];
    await bridge.record(report);
    assert.equal(fake.reports.length, 1);
    assert.equal(fake.calls.length, 3);
    assert.equal(new Set(fake.calls.map((call) => call.key)).size, 1);
    assert.ok(fake.calls[0].key);
  });
}

test('after five tries it is away, and the agent stays silent', async () => {
  const { bridge, fake, waits } = fakeBridge();
  fake.answers = Array(15).fill(503);
  await assert.rejects(bridge.record(report), AwayError);
  assert.deepEqual(waits, [0.5, 1, 2, 4]);
  assert.equal((await bridge.mayReply({ phone })).may_reply, false);
  const turn = await new ConversationReporter(bridge, { phone }).heard('oi', { id: '1' });
  assert.deepEqual([turn.isAway, turn.mayReply, turn.known], [true, false, false]);
});

for (const [status, kind] of [[400, RefusedError], [401, KeyRefusedError], [404, NotFoundError], [409, KnownOtherwiseError], [410, ErasedError], [413, RefusedError]]) {
  test(`what trying again does not mend is told at once: ${status}`, async () => {
    const { bridge, fake } = fakeBridge();
    fake.answers = [status];
    await assert.rejects(bridge.record(report), kind);
    assert.equal(fake.calls.length, 1);
  });
}

for (const [asked, waited] of [['7', 7], ['2.5', 2.5], ['Sun, 29 Nov 2026 12:00:09 GMT', 9], ['Sun, 29 Nov 2026 11:00:00 GMT', 0], ['soon', 0], ['-4', 0], ['', 0], [null, 0]]) {
  test(`the bridge, or a proxy, says how long to wait: ${asked}`, () => {
    assert.equal(secondsOf(asked, Date.UTC(2026, 10, 29, 12)), waited);
  });
}

for (const nobody of [{}, { phone: '' }, { phone: undefined, address: '' }]) {
  test(`nobody is not looked for: ${JSON.stringify(nobody)}`, async () => {
    const { bridge, fake } = fakeBridge();
    await assert.rejects(bridge.find(nobody), /Name the person/);
    assert.deepEqual(fake.calls, []);
  });
}

const answering = (answer) => new Bridge({ address: 'http://bridge.test', key: 'kb_test', fetch: async () => answer(), sleep: async () => {} });

for (const status of [301, 302, 307, 308]) {
  test(`an address that leads elsewhere is told with where it leads: ${status}`, async () => {
    const headers = { Location: 'https://bridge.test/api/v1/interactions/' };
    const bridge = answering(() => new Response(null, { status, headers }));
    await assert.rejects(bridge.record(report), (error) => error instanceof RefusedError && error.message.includes(headers.Location));
  });
}

test('it does not follow where it is led: the key stays', async () => {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(302, { Location: '/elsewhere/' }).end();
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const bridge = new Bridge({ address: `http://127.0.0.1:${server.address().port}`, key: 'kb_test' });
    await assert.rejects(bridge.record(report), /leads elsewhere/);
    assert.deepEqual(asked, ['/api/v1/interactions/']);
  } finally {
    server.close();
  }
});

test("a page that is not the bridge's is no answer of it", async () => {
  const bridge = answering(() => new Response('<h1>Back soon</h1>'));
  await assert.rejects(bridge.record(report), (error) => error instanceof AwayError && /is the address right/.test(error.message));
  assert.equal((await bridge.mayReply({ phone })).may_reply, false);
});

test('facts are told when they are new', async () => {
  const { bridge, fake } = fakeBridge();
  const maria = new ConversationReporter(bridge, { phone });
  await maria.heard('oi', { id: '1', facts: { name: 'Maria', bill_value: 450, roof: 'tiles' } });
  await maria.heard('sim', { id: '2', facts: { name: 'Maria', bill_value: 500, roof: 'tiles' } });
  assert.deepEqual(fake.reports.map((one) => one.lead), [
    { name: 'Maria', bill_value: 450, phone, custom: { roof: 'tiles' } },
    { bill_value: 500, phone },
  ]);
});

test('while a person has the lead nothing is sent', async () => {
  const { bridge } = fakeBridge();
  const maria = new ConversationReporter(bridge, { address: 'lid:1234@lid' });
  await maria.heard('oi');
  await maria.askForPerson('quer falar com a Ana');
  assert.equal(await maria.mayReply(), false);
  await assert.rejects(bridge.send(maria.leadId, 'Oi'), MayNotReplyError);
});

const due = (fake, id) => fake.event('followup.due', { lead: { id: '1', phone }, text: 'Oi!' }, id);

for (const [outcome, status, body] of [[undefined, 200, {}], [1, 200, {}], ['ok', 200, {}], [null, 200, {}], [{ text: 'Olá' }, 200, { text: 'Olá' }], [{ skip: true }, 200, { skip: true }], [{ gone: 'invalid_number' }, 410, { reason: 'invalid_number' }]]) {
  test(`a follow-up is acted on once and answered the same again: ${JSON.stringify(outcome)}`, async () => {
    const { fake } = fakeBridge();
    const acted = [];
    const events = new Events(SECRET).on('followup.due', (event) => { acted.push(event.data.text); return outcome; });
    for (let time = 0; time < 2; time += 1) {
      const answer = await events.handle(...due(fake));
      assert.deepEqual([answer.status, answer.body], [status, body]);
    }
    assert.deepEqual(acted, ['Oi!']);
  });
}

test('a slow answer is given when the bridge comes again', async () => {
  const { fake } = fakeBridge();
  let goOn;
  const waiting = new Promise((done) => { goOn = done; });
  const stored = new Map();
  let isStored;
  const settled = new Promise((done) => { isStored = done; });
  const store = { get: (id) => stored.get(id), put: (id, answer) => { stored.set(id, answer); isStored(); } };
  const events = new Events(SECRET, store).on('followup.due', async () => { await waiting; return { text: 'Olá' }; }, { slow: true });
  for (let time = 0; time < 2; time += 1) {
    const answer = await events.handle(...due(fake));
    assert.deepEqual([answer.status, answer.headers], [503, { 'Retry-After': '10' }]);
  }
  goOn();
  await settled;
  assert.deepEqual((await events.handle(...due(fake))).body, { text: 'Olá' });
});

test('only the bridge is heard', async () => {
  const { fake } = fakeBridge();
  const events = new Events(SECRET);
  const [headers, body] = due(fake);
  assert.equal((await events.handle(headers, `${body} `)).status, 401);
  assert.equal((await events.handle({}, body)).status, 401);
  assert.equal((await events.handle({ ...headers, 'webhook-timestamp': '1' }, body)).status, 401);
  assert.equal((await events.handle(...fake.event('lead.stage_changed', { lead: {} }))).status, 204);
  assert.equal((await events.handle(headers, body)).body.skip, true);
});

test('two deliveries of one event at the same moment act once, however slow the store is', async () => {
  const { fake } = fakeBridge();
  const stored = new Map();
  let answerFirst;
  let isFirst = true;
  const firstAnswered = new Promise((done) => { answerFirst = done; });
  const store = {
    // The second is told of nothing until the first has ended.
    get: async (id) => {
      const found = stored.get(id);
      if (!isFirst) await firstAnswered;
      isFirst = false;
      return found;
    },
    put: (id, answer) => { stored.set(id, answer); },
  };
  let acted = 0;
  const events = new Events(SECRET, store).on('agent.paused', () => { acted += 1; });
  const told = fake.event('agent.paused', { lead: { id: '1' } });
  const first = events.handle(...told);
  const second = events.handle(...told);
  assert.equal((await first).status, 200);
  answerFirst();
  assert.equal((await second).status, 503);
  assert.equal((await events.handle(...told)).status, 200);
  assert.equal(acted, 1);
});

test('a store that fails leaves nothing under way', async () => {
  const { fake } = fakeBridge();
  const answers = [new Error('away'), undefined];
  const store = { get: () => { const next = answers.shift(); if (next) throw next; }, put: () => {} };
  let acted = 0;
  const events = new Events(SECRET, store).on('agent.paused', () => { acted += 1; });
  const told = fake.event('agent.paused', { lead: { id: '1' } });
  await assert.rejects(events.handle(...told));
  assert.equal((await events.handle(...told)).status, 200);
  assert.equal(acted, 1);
});

test('events are a handler of the fetch standard', async () => {
  const { fake } = fakeBridge();
  const events = new Events(SECRET).on('followup.due', () => ({ text: 'Olá' }));
  const [headers, body] = due(fake);
  const asked = (sent) => new Request('http://agent.test/hook', { method: 'POST', headers, body: sent });
  const answer = await events.fetch(asked(body));
  assert.deepEqual([answer.status, await answer.json()], [200, { text: 'Olá' }]);
  assert.equal((await events.fetch(asked(`${body} `))).status, 401);
  const news = fake.event('lead.stage_changed', { lead: {} });
  const told = await events.fetch(new Request('http://agent.test/hook', { method: 'POST', headers: news[0], body: news[1] }));
  assert.equal(told.status, 204);
});
