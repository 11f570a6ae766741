import { NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';
import type {
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
	INodeType,
	INodeTypeDescription,
} from 'n8n-workflow';
import { ask, call, keyOf } from './calling';
import { interactionFields, interactionOf } from './interaction';
import { leadFields } from './lead';
import { messageFields } from './message';
import { asked, personOf } from './person';

type Operation = (context: IExecuteFunctions, itemIndex: number) => Promise<IDataObject>;

// What each operation does, by resource and name. In code and not declared: a repeat after a lost answer needs the first try's
// key, and a question that gets no answer has one all the same.
const OPERATIONS: Record<string, Operation> = {
	'interaction.report': async (context, item) => {
		const body = interactionOf(context, item);
		// A message's own ID is the better key: it is the same in another run.
		const key = (body.message as IDataObject | undefined)?.id ? undefined : keyOf(context, item);
		return await call(context, item, { method: 'POST', path: 'interactions/', body, key });
	},
	'lead.mayReply': mayReply,
	'lead.find': async (context, item) => {
		const query = { ...asked(personOf(context, item)), limit: 1 };
		const page = await call(context, item, { method: 'GET', path: 'leads/', query });
		const [lead] = page.results as IDataObject[];
		return { found: lead !== undefined, lead: lead ?? null };
	},
	'lead.get': async (context, item) => await call(context, item, { method: 'GET', path: `leads/${id(context, 'leadId', item)}/` }),
	'lead.handOver': async (context, item) =>
		await call(context, item, {
			method: 'POST',
			path: `leads/${id(context, 'leadId', item)}/handoff/`,
			body: { reason: context.getNodeParameter('reason', item) as string },
		}),
	'lead.giveBack': async (context, item) =>
		await call(context, item, { method: 'DELETE', path: `leads/${id(context, 'leadId', item)}/handoff/` }),
	'message.send': async (context, item) => {
		const options = context.getNodeParameter('options', item, {}) as IDataObject;
		const body: IDataObject = { text: context.getNodeParameter('text', item) as string };
		if (options.channel) body.channel = options.channel;
		const key = String(options.key || '') || keyOf(context, item);
		return await call(context, item, { method: 'POST', path: `leads/${id(context, 'leadId', item)}/messages/`, body, key });
	},
	'message.get': async (context, item) =>
		await call(context, item, { method: 'GET', path: `messages/${id(context, 'messageId', item)}/` }),
};

async function mayReply(context: IExecuteFunctions, item: number): Promise<IDataObject> {
	const query = asked(personOf(context, item));
	const outcome = await ask(context, item, { method: 'GET', path: 'agent/may-reply/', query });
	// A person may have taken over unseen.
	return 'answer' in outcome ? outcome.answer : { may_reply: false, reason: outcome.away, since: null };
}

function id(context: IExecuteFunctions, parameter: string, item: number): string {
	const value = String(context.getNodeParameter(parameter, item)).trim();
	if (!value) throw new NodeOperationError(context.getNode(), 'The ID is empty', { itemIndex: item });
	return encodeURIComponent(value);
}

export class KommoBridge implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Kommo Bridge',
		name: 'kommoBridge',
		icon: { light: 'file:../../icons/kommoBridge.svg', dark: 'file:../../icons/kommoBridge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle: '={{ $parameter["operation"] + ": " + $parameter["resource"] }}',
		description: 'Keeps Kommo cards true to what was said, and asks whether the agent may speak',
		defaults: { name: 'Kommo Bridge' },
		usableAsTool: true,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'kommoBridgeApi', required: true }],
		properties: [
			{
				displayName: 'Resource',
				name: 'resource',
				type: 'options',
				noDataExpression: true,
				options: [
					{ name: 'Interaction', value: 'interaction' },
					{ name: 'Lead', value: 'lead' },
					{ name: 'Message', value: 'message' },
				],
				default: 'interaction',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['interaction'] } },
				options: [
					{
						name: 'Report',
						value: 'report',
						action: 'Report an interaction',
						description: 'Tell what happened in a conversation; the card follows',
					},
				],
				default: 'report',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['lead'] } },
				options: [
					{ name: 'Find', value: 'find', action: 'Find a lead', description: 'By phone or another address' },
					{ name: 'Get', value: 'get', action: 'Get a lead', description: 'All that is known, and what the card shows' },
					{ name: 'Give Back', value: 'giveBack', action: 'Give a lead back to the agent' },
					{
						name: 'Hand Over',
						value: 'handOver',
						action: 'Hand a lead over to a person',
						description: 'A note and a task on the card tell the sales team; follow-ups stop',
					},
					{
						name: 'May Reply',
						value: 'mayReply',
						action: 'Ask whether the agent may reply',
						description: 'Whether the agent may write to this person now. No while the bridge is away.',
					},
				],
				default: 'mayReply',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['message'] } },
				options: [
					{ name: 'Get', value: 'get', action: 'Get a message', description: 'What became of it' },
					{
						name: 'Send',
						value: 'send',
						action: 'Send a message',
						description: "Say this to the lead, by the pipeline's channel. Refused while a person has them.",
					},
				],
				default: 'send',
			},
			...interactionFields,
			...leadFields,
			...messageFields,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const items = this.getInputData();
		const answers: INodeExecutionData[] = [];
		for (let item = 0; item < items.length; item += 1) {
			try {
				const resource = this.getNodeParameter('resource', item) as string;
				const operation = this.getNodeParameter('operation', item) as string;
				const json = await OPERATIONS[`${resource}.${operation}`](this, item);
				answers.push({ json, pairedItem: { item } });
			} catch (error) {
				if (this.continueOnFail()) {
					answers.push({ json: { error: (error as Error).message }, pairedItem: { item } });
					continue;
				}
				// Keeps a NodeApiError as it is.
				throw new NodeOperationError(this.getNode(), error as Error, { itemIndex: item });
			}
		}
		return [answers];
	}
}
