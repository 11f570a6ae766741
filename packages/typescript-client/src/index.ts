export { Bridge, type Options } from './client.js';
export * from './errors.js';
export { Events, type Answer, type BridgeEvent, type Outcome, type Store } from './events.js';
export { ConversationReporter, type Told, type Turn } from './reporter.js';
export type * from './types.js';
