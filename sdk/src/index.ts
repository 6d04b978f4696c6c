export { AnitaClient } from './client.js';
export type {
  ClientEvents,
  ClientOptions,
  CloseInfo,
  Events,
  Hello,
  RequestOptions,
  Stats,
  TokenAsk,
} from './client.js';
export type { Backoff } from './backoff.js';
export type { Device, DeviceMap } from './devices.js';
export type { ListenOptions } from './emitter.js';
export type { Envelope, EnvelopeOf } from './envelope.js';
export { AnitaError } from './errors.js';
export type { ErrorKind, ErrorMore } from './errors.js';
export type { State } from './machine.js';
export type { Gap } from './rooms.js';
export type { Network, NetworkEvent, Socket, SocketEvent, WebSocketConstructor } from './socket.js';
export type {
  Position,
  SubscribeOptions,
  Subscription,
  SubscriptionChange,
  SubscriptionEvents,
  ViewLoss,
} from './views.js';
export { closeCodes, errorCodes, shapes } from './wire.gen.js';
// All types of the wire; `Requests` and `ServerMessages` can be merged with an application's own (README).
export type * from './wire.gen.js';
