import type { INodeProperties } from 'n8n-workflow';
import { personFields } from './person';

const show = { resource: ['lead'] };

export const leadFields: INodeProperties[] = [
	...personFields({ show: { resource: ['lead'], operation: ['find', 'mayReply'] } }),
	{
		displayName: 'Lead ID',
		name: 'leadId',
		type: 'string',
		required: true,
		default: '',
		description: 'Which lead, as every answer and event of the bridge names it',
		displayOptions: { show: { ...show, operation: ['get', 'giveBack', 'handOver'] } },
	},
	{
		displayName: 'Reason',
		name: 'reason',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'quer falar com uma pessoa',
		description: 'What the sales team reads on the card',
		displayOptions: { show: { ...show, operation: ['handOver'] } },
	},
];
