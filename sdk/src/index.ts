export { AnitaClient } from './client.js';
export type {
  AskOptions,
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
export { debug } from './debug.js';
export type { ListenOptions } from './emitter.js';
export type { Envelope, EnvelopeOf } from './envelope.js';
export { AnitaError } from './errors.js';
export type { ErrorKind, ErrorMore } from './errors.js';
export type { State } from './machine.js';
export { rooms } from './rooms.js';
export type { Gap, Resync, Rooms, RoomsEvents, RoomsPort } from './rooms.js';
export type { Network, NetworkEvent, PageEvent, Socket, SocketEvent, WebSocketConstructor } from './socket.js';
export type { Device } from './store.js';
export { stream } from './stream.js';
export type { StreamOptions } from './stream.js';
export { subscribe } from './views.js';
export type {
  Position,
  SubscribeOptions,
  Subscription,
  SubscriptionChange,
  SubscriptionEvents,
  ViewLoss,
  ViewsPort,
} from './views.js';
// All types of the wire; `Requests` and `ServerMessages` can be merged with an application's own (README).
export type * from './wire.gen.js';
