// What the README shows, typed as it stands there, with a model and a messenger of the reader's own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import * as client from 'kommo-bridge-client';
import { SECRET, fakeBridge } from 'kommo-bridge-client/testing';

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const shown = [...readFileSync(here('README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```/gms)].map((found) => found[1]);
const [conversation, events] = shown;
const AsyncFunction = (async () => {}).constructor;

/** Run code of the README with what it does not make itself. */
async function typed(code, theirs) {
  const [, imported] = /^import \{ (.+) \} from 'kommo-bridge-client';$/m.exec(code);
  const names = { ...Object.fromEntries(imported.split(', ').map((name) => [name, client[name]])), ...theirs };
  await new AsyncFunction(...Object.keys(names), code.replace(/^import .*$/m, ''))(...Object.values(names));
}

function messenger() {
  const sent = [];
  return { sent, myWhatsApp: { send: async (text) => void sent.push(text) }, myModel: async (text) => `Sobre “${text}”: sim.` };
}

test('it is what the compiler takes', () => {
  const theirs = `
    declare function myModel(text: string): Promise<string>;
    declare const myWhatsApp: { send(text: string): Promise<void> };
    declare const myAgent: { silence(leadId: string): void };
    declare const myStore: import('kommo-bridge-client').Store;
    declare function raw(options: { type: string }): unknown;
    declare const app: { post(path: string, parsed: unknown, handler: (request: { headers: Record<string, string | string[] | undefined>; body: Buffer }, response: any) => Promise<void>): void };`;
  const files = shown.map((code, place) => [here(`readme-${place}.mts`), theirs + code]);
  try {
    for (const [file, code] of files) writeFileSync(file, code);
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
    const compiler = here('node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [compiler, ...options, ...files.map(([file]) => file)], { cwd: here('.'), encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout ?? String(error));
  } finally {
    for (const [file] of files) rmSync(file, { force: true });
  }
});

test('a conversation is reported both ways', async () => {
  const { fake } = fakeBridge();
  const { sent, ...theirs } = messenger();
  class Bridge extends client.Bridge {
    constructor(options) {
      super({ ...options, fetch: fake.fetch });
    }
  }
  await typed(conversation.replace('kb_…', 'kb_test'), { ...theirs, Bridge });
  assert.deepEqual(fake.reports.map((one) => one.message.direction), ['inbound', 'outbound']);
  assert.equal(fake.reports[0].lead.qualification_score, 82);
  assert.deepEqual(sent, [fake.reports[1].message.text]);
});

test('events come in by express, and a follow-up is said once however long the model takes', async () => {
  const { fake } = fakeBridge();
  const { sent, ...theirs } = messenger();
  const silenced = [];
  const stored = new Map();
  const myStore = { get: (id) => stored.get(id), put: (id, answer) => void stored.set(id, answer) };
  let hook;
  // As express has it: a body of another type than the one asked for is not read.
  const raw = ({ type = 'application/octet-stream' } = {}) => type;
  const app = { post: (path, type, handler) => { hook = { type, handler }; } };
  const code = events.replace('whsec_…', SECRET);
  await typed(code, { ...theirs, myStore, raw, app, myAgent: { silence: (id) => silenced.push(id) } });

  const told = async ([headers, body]) => {
    const answer = { headers: {} };
    const response = {
      status: (status) => Object.assign(answer, { status }) && response,
      set: (set) => Object.assign(answer.headers, set) && response,
      send: (sentBody) => Object.assign(answer, { body: sentBody }),
    };
    await hook.handler({ headers, body: hook.type === 'application/json' ? Buffer.from(body) : {} }, response);
    return answer;
  };
  const due = fake.event('followup.due', { lead: { id: '1', phone: '+5581999990000' }, text: 'Oi!' });
  let answer = await told(due);
  assert.deepEqual([answer.status, answer.headers], [503, { 'Retry-After': '10' }]);
  while (answer.status === 503) answer = await told(due);
  assert.deepEqual([answer.status, answer.body], [200, { text: 'Sobre “Oi!”: sim.' }]);
  assert.deepEqual(sent, ['Sobre “Oi!”: sim.']);
  assert.equal((await told(fake.event('agent.paused', { lead: { id: '7', phone: null } }, 'msg_2'))).status, 200);
  assert.deepEqual(silenced, ['7']);
});
