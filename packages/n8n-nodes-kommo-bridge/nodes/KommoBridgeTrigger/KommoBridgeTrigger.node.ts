import { NodeConnectionTypes } from 'n8n-workflow';
import type {
	IDataObject,
	INodeType,
	INodeTypeDescription,
	IWebhookFunctions,
	IWebhookResponseData,
} from 'n8n-workflow';
import { answerToRepeat, cameBefore } from './repeats';
import { isSigned } from './signature';

const EVENTS = [
	{ name: 'Agent Paused', value: 'agent.paused', description: 'A person has taken over' },
	{ name: 'Agent Resumed', value: 'agent.resumed', description: 'The lead is yours again' },
	{ name: 'Follow-Up Due', value: 'followup.due', description: 'Say this now' },
	{ name: 'Message Delivered', value: 'message.delivered', description: 'What you had said has reached the chat' },
	{ name: 'Message Due', value: 'message.due', description: "Say this now: the pipeline's way out is the agent itself" },
	{ name: 'Message Not Delivered', value: 'message.not_delivered', description: 'Say it otherwise, or leave it to a person' },
	{ name: 'Message Received', value: 'message.received', description: 'A lead wrote' },
	{ name: 'Stage Changed', value: 'lead.stage_changed', description: 'For your own records' },
];

export class KommoBridgeTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Kommo Bridge Trigger',
		name: 'kommoBridgeTrigger',
		icon: { light: 'file:../../icons/kommoBridge.svg', dark: 'file:../../icons/kommoBridge.dark.svg' },
		group: ['trigger'],
		version: 1,
		subtitle: '={{ $parameter["events"].join(", ") }}',
		description: 'Starts when a lead writes, a follow-up is due or a person takes over',
		defaults: { name: 'Kommo Bridge Trigger' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'kommoBridgeApi', required: true }],
		webhooks: [
			{
				name: 'default',
				httpMethod: 'POST',
				responseMode: '={{ $parameter["responseMode"] }}',
				path: 'kommo-bridge',
			},
		],
		properties: [
			{
				displayName:
					"Put the production URL above into the bridge's AGENT_WEBHOOK_URL, and its AGENT_WEBHOOK_SECRET into the credential. One bridge calls one URL: let one workflow hear everything and pass it on.",
				name: 'notice',
				type: 'notice',
				default: '',
			},
			{
				displayName: 'Events',
				name: 'events',
				type: 'multiOptions',
				options: EVENTS,
				required: true,
				default: ['message.received', 'followup.due', 'agent.paused'],
				description: 'Others are answered and start nothing; a follow-up nobody listens to counts as not said',
			},
			{
				displayName: 'Respond',
				name: 'responseMode',
				type: 'options',
				options: [
					{
						name: 'Immediately',
						value: 'onReceived',
						description: 'A follow-up counts as said when the workflow has started',
					},
					{
						name: "Using 'Respond to Webhook' Node",
						value: 'responseNode',
						description: 'Within ten seconds: {"text": "…"} for other words, {"skip": true} to say nothing, 410 when nothing reaches them',
					},
				],
				default: 'onReceived',
			},
		],
	};

	// The bridge has its agent's URL as a setting, which staff write: there is nothing to register, and nothing to take away.
	webhookMethods = {
		default: {
			async checkExists(): Promise<boolean> {
				return true;
			},
			async create(): Promise<boolean> {
				return true;
			},
			async delete(): Promise<boolean> {
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const request = this.getRequestObject();
		const headers = this.getHeaderData() as Record<string, string | string[] | undefined>;
		const credentials = await this.getCredentials('kommoBridgeApi');
		// A signature is one of bytes, not of what they were parsed into.
		await request.readRawBody();
		if (!isSigned(String(credentials.eventsSecret), headers, request.rawBody, Date.now() / 1000)) {
			return answered(this, 401, { detail: 'the signature is missing, wrong or old' });
		}
		const event = { id: String(headers['webhook-id']), ...this.getBodyData() } as unknown as IDataObject;
		const type = String(event.type);
		if (!(this.getNodeParameter('events') as string[]).includes(type)) {
			const skip = { skip: true, reason: 'this workflow does not listen to follow-ups' };
			return type === 'followup.due' ? answered(this, 200, skip) : answered(this, 200, {});
		}
		const isAnsweredAtOnce = this.getNodeParameter('responseMode') === 'onReceived';
		if (cameBefore(this.getWorkflowStaticData('node'), String(event.id))) {
			return answered(this, 200, answerToRepeat(type, isAnsweredAtOnce));
		}
		return { webhookResponse: isAnsweredAtOnce ? {} : undefined, workflowData: [this.helpers.returnJsonArray(event)] };
	}
}

function answered(context: IWebhookFunctions, status: number, body: IDataObject): IWebhookResponseData {
	context.getResponseObject().status(status).json(body);
	return { noWebhookResponse: true };
}
