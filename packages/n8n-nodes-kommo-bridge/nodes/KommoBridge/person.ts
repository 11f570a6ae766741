import type { IDataObject, IDisplayOptions, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

const KINDS = ['bsuid', 'email', 'external', 'instagram', 'kommo_chat', 'kommo_contact', 'lid', 'phone', 'telegram', 'whatsapp'];

/** Whom an operation is about: a phone in any spelling, or an address of another kind. */
export function personFields(displayOptions: IDisplayOptions): INodeProperties[] {
	return [
		{
			displayName: 'Known By',
			name: 'addressKind',
			type: 'options',
			options: KINDS.map((kind) => ({ name: LABELS[kind], value: kind })),
			default: 'phone',
			description: 'What the value below is',
			displayOptions,
		},
		{
			displayName: 'Value',
			name: 'address',
			type: 'string',
			required: true,
			default: '',
			placeholder: '+55 81 99999-0000',
			description: 'A phone in any usual spelling or as a WhatsApp JID, or the address of the kind above',
			displayOptions,
		},
	];
}

const LABELS: Record<string, string> = {
	bsuid: 'BSUID',
	email: 'Email',
	external: 'Id of Your Own',
	instagram: 'Instagram',
	kommo_chat: 'Kommo Chat',
	kommo_contact: 'Kommo Contact',
	lid: 'LID',
	phone: 'Phone',
	telegram: 'Telegram',
	whatsapp: 'WhatsApp JID',
};

interface Person {
	kind: string;
	value: string;
}

export function personOf(context: IExecuteFunctions, itemIndex: number): Person {
	return {
		kind: context.getNodeParameter('addressKind', itemIndex) as string,
		value: String(context.getNodeParameter('address', itemIndex)).trim(),
	};
}

/** As a report names them. */
export function reported(person: Person): IDataObject {
	return person.kind === 'phone' ? { phone: person.value } : { addresses: [{ kind: person.kind, value: person.value }] };
}

/** As a question names them. */
export function asked(person: Person): IDataObject {
	return person.kind === 'phone' ? { phone: person.value } : { address: `${person.kind}:${person.value}` };
}
