// Call every operation of the client that was made in `sdk/`; an answer that is not described ends with an error.
import { readFileSync } from 'node:fs';
import * as sdk from './js/sdk.gen.js';
import { client } from './js/client.gen.js';

const described = JSON.parse(readFileSync('openapi.json', 'utf8'));
client.setConfig({ baseUrl: process.env.BRIDGE, auth: () => `Api-Key ${process.env.KEY}` });

const one = {
  lead: { phone: '+55 81 99999-1111', name: 'Maria Souza', bill_value: 'R$ 4.500,00' },
  message: { id: 'wamid.1', direction: 'inbound', text: 'Oi' },
};
const bodies = { record_interaction: one, record_interactions: [one, { lead: { phone: '12' } }] };
const { data, error } = await sdk.recordInteraction({ body: one });
if (!data) throw new Error(`record_interaction: ${JSON.stringify(error) ?? error}`);

const operations = Object.entries(described.paths).flatMap(([path, calls]) =>
  Object.entries(calls).filter(([, call]) => path.startsWith('/api/v1/')).map(([, call]) => call));
// What erases goes last: the others are about a person who is known.
operations.sort((a, b) => a.operationId.startsWith('erase') - b.operationId.startsWith('erase'));
for (const { operationId, responses } of operations) {
  const name = operationId.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const { response } = await sdk[name]({
    path: { lead_id: data.lead.id },
    query: operationId === 'may_reply' ? { phone: '5581999991111' } : undefined,
    body: bodies[operationId],
  });
  if (!(response.status in responses) || response.status >= 500) throw new Error(`${operationId}: ${response.status}`);
  console.log(`typescript  ${operationId.padEnd(22)} ${response.status}`);
}
