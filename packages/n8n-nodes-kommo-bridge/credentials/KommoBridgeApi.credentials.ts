import type { IAuthenticateGeneric, Icon, ICredentialTestRequest, ICredentialType, INodeProperties } from 'n8n-workflow';

export class KommoBridgeApi implements ICredentialType {
	name = 'kommoBridgeApi';

	displayName = 'Kommo Bridge API';

	icon: Icon = { light: 'file:../icons/kommoBridge.svg', dark: 'file:../icons/kommoBridge.dark.svg' };

	documentationUrl = 'https://bridge.example/packages/n8n-nodes-kommo-bridge#credentials';

	properties: INodeProperties[] = [
		{
			displayName: 'Address',
			name: 'address',
			type: 'string',
			required: true,
			default: '',
			placeholder: 'https://bridge.example',
			description: 'Where the bridge is, without a path. Beside n8n on one network: the name of its service and port 8000.',
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			required: true,
			default: '',
			description: 'As "manage.py api_key n8n" printed it',
		},
		{
			displayName: 'Secret of Events',
			name: 'eventsSecret',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			placeholder: 'whsec_…',
			description: "The bridge's AGENT_WEBHOOK_SECRET. Only the trigger needs it.",
		},
	];

	authenticate: IAuthenticateGeneric = {
		type: 'generic',
		properties: { headers: { Authorization: '=Api-Key {{$credentials.apiKey}}' } },
	};

	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.address.replace(/\\/+$/, "")}}/api/v1',
			url: '/leads/',
			qs: { limit: 1 },
		},
	};
}
