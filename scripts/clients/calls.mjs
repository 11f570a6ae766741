// Make every call of calls.json with the client that was made in `sdk/`, and end with an error when one goes wrong.
import { readFileSync } from 'node:fs';
import * as sdk from './js/sdk.gen.js';
import { client } from './js/client.gen.js';

const phone = '+5581999991111';
const calls = JSON.parse(readFileSync('calls.json', 'utf8').replaceAll('PHONE', phone));
const described = JSON.parse(readFileSync('openapi.json', 'utf8'));
client.setConfig({ baseUrl: process.env.BRIDGE, auth: () => `Api-Key ${process.env.KEY}` });

const operations = Object.entries(described.paths).flatMap(([path, methods]) =>
  Object.values(methods).filter(() => path.startsWith('/api/v1/')).map((one) => one.operationId));
const uncalled = operations.filter((one) => !calls.some((call) => call.operation === one));
if (uncalled.length) throw new Error(`in the document and not in calls.json: ${uncalled}`);

const known = {};
for (const { operation, status, body, query, keep = {} } of calls) {
  const name = operation.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const { data, error, response } = await sdk[name]({ path: known, query, body });
  if (response.status !== status) throw new Error(`${operation}: ${response.status}, and not ${status}: ${JSON.stringify(error)}`);
  for (const [kept, path] of Object.entries(keep)) known[kept] = path.reduce((value, step) => value[step], data);
  console.log(`typescript  ${operation.padEnd(22)} ${response.status}`);
}
