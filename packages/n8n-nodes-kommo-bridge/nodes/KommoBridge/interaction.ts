import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { personFields, personOf, reported } from './person';

const displayOptions = { show: { resource: ['interaction'], operation: ['report'] } };

export const interactionFields: INodeProperties[] = [
	...personFields(displayOptions),
	{
		displayName: 'Who Wrote',
		name: 'direction',
		type: 'options',
		options: [
			{ name: 'A Colleague (Silences the Agent)', value: 'staff' },
			{ name: 'Nobody (Facts Only)', value: '' },
			{ name: 'The Agent', value: 'outbound' },
			{ name: 'The Lead', value: 'inbound' },
		],
		default: 'inbound',
		displayOptions,
	},
	{
		displayName: 'Message ID',
		name: 'messageId',
		type: 'string',
		default: '',
		placeholder: 'wamid.HBgM…',
		description: "The messenger's own ID of the message. The same message told twice is then acted on once, also after a restart.",
		displayOptions: { show: { ...displayOptions.show, direction: ['inbound', 'outbound', 'staff'] } },
	},
	{
		displayName: 'Text',
		name: 'text',
		type: 'string',
		typeOptions: { rows: 2 },
		default: '',
		displayOptions: { show: { ...displayOptions.show, direction: ['inbound', 'outbound', 'staff'] } },
	},
	{
		displayName: 'Facts',
		name: 'facts',
		type: 'collection',
		placeholder: 'Add Fact',
		default: {},
		description: 'What this message taught you. What is not given is left as it is.',
		displayOptions,
		options: [
			{ displayName: 'Bill Value', name: 'bill_value', type: 'string', default: '', placeholder: 'R$ 4.500,00' },
			{ displayName: 'Chosen Flow', name: 'chosen_flow', type: 'string', default: '' },
			{ displayName: 'Email', name: 'email', type: 'string', default: '', placeholder: 'name@email.com' },
			{ displayName: 'Has a Solar System', name: 'has_solar_system', type: 'boolean', default: false },
			{ displayName: 'Has an Active Contract', name: 'has_active_contract', type: 'boolean', default: false },
			{ displayName: 'Is the Decision Maker', name: 'is_decision_maker', type: 'boolean', default: false },
			{ displayName: 'Kommo Lead ID', name: 'kommo_lead_id', type: 'number', default: 0, description: 'A card that your own tables know' },
			{ displayName: 'Name', name: 'name', type: 'string', default: '' },
			{
				displayName: 'Qualification Score',
				name: 'qualification_score',
				type: 'number',
				typeOptions: { minValue: 0, maxValue: 100 },
				default: 0,
				description: 'Whether the lead qualifies, from 0 to 100. Leave it out while you do not know it.',
			},
		],
	},
	{
		displayName: 'More Facts (JSON)',
		name: 'custom',
		type: 'json',
		default: '{}',
		description: "Facts by names of your own, for staff's fields, tags and rules: {\"consumption_kwh\": 540}",
		displayOptions,
	},
	{
		displayName: 'Context',
		name: 'context',
		type: 'collection',
		placeholder: 'Add',
		default: {},
		displayOptions,
		options: [
			{
				displayName: 'Conversation Stage',
				name: 'conversation_stage',
				type: 'string',
				default: '',
				description: 'Your own word for where the talk is',
			},
			{
				displayName: 'Objections',
				name: 'objections_raised',
				type: 'string',
				default: '',
				description: 'Separated by commas; they add to those known',
			},
			{
				displayName: 'Occurred At',
				name: 'occurred_at',
				type: 'dateTime',
				default: '',
				description: 'When this was so; the moment of the report when left out',
			},
			{ displayName: 'Pipeline', name: 'pipeline', type: 'string', default: '', description: 'The slug; the default one when left out' },
			{ displayName: 'Sent At', name: 'sent_at', type: 'dateTime', default: '', description: 'When the message was written' },
		],
	},
	{
		displayName: 'Meeting',
		name: 'meeting',
		type: 'collection',
		placeholder: 'Add',
		default: {},
		description: 'A meeting of your calendar; a booked one moves the card by itself',
		displayOptions,
		options: [
			{ displayName: 'ID', name: 'id', type: 'string', default: '', description: 'The ID it has in your calendar' },
			{ displayName: 'Link', name: 'link', type: 'string', default: '' },
			{ displayName: 'Starts At', name: 'starts_at', type: 'dateTime', default: '' },
			{
				displayName: 'Status',
				name: 'status',
				type: 'options',
				options: [
					{ name: 'Cancelled', value: 'cancelled' },
					{ name: 'Completed', value: 'completed' },
					{ name: 'No Show', value: 'no_show' },
					{ name: 'Rescheduled', value: 'rescheduled' },
					{ name: 'Scheduled', value: 'scheduled' },
				],
				default: 'scheduled',
			},
		],
	},
];

/** The body of a report; what was left empty is left out, for an absent key changes nothing. */
export function interactionOf(context: IExecuteFunctions, itemIndex: number): IDataObject {
	const given = context.getNodeParameter('context', itemIndex, {}) as IDataObject;
	const direction = context.getNodeParameter('direction', itemIndex) as string;
	const custom = parsed(context.getNodeParameter('custom', itemIndex, {}));
	const facts = context.getNodeParameter('facts', itemIndex, {}) as IDataObject;
	const lead = filled({ ...reported(personOf(context, itemIndex)), ...facts, custom });
	const about = filled({
		conversation_stage: given.conversation_stage,
		objections_raised: words(given.objections_raised),
		meeting: filled(context.getNodeParameter('meeting', itemIndex, {}) as IDataObject),
	});
	const message = filled({
		direction,
		id: context.getNodeParameter('messageId', itemIndex, '') as string,
		text: context.getNodeParameter('text', itemIndex, '') as string,
		sent_at: given.sent_at,
	});
	return filled({
		lead,
		context: about,
		message: direction ? message : undefined,
		occurred_at: given.occurred_at,
		pipeline: given.pipeline,
	});
}

function filled(values: IDataObject): IDataObject {
	return Object.fromEntries(Object.entries(values).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
	if (value === undefined || value === '') return true;
	return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function parsed(value: unknown): IDataObject {
	return (typeof value === 'string' && value.trim() ? JSON.parse(value) : (value || {})) as IDataObject;
}

/** A list as an agent gives it, or words between commas. */
function words(value: unknown): string[] {
	const list = Array.isArray(value) ? value : String(value ?? '').split(',');
	return list.map((word) => String(word).trim()).filter(Boolean);
}
