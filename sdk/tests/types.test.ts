// What the compiler has to accept and to refuse; `npm run typecheck` is the test, running it only makes sure it loads.
import { expectTypeOf, test } from 'vitest';
import { WebSocket } from 'ws';
import { AnitaClient, stream, type AnitaError, type Device, type Envelope, type Hello } from '@anita/client';
import { DeviceStore } from '@anita/client/store';

declare module '@anita/client' {
  interface ServerMessages {
    'acme.door': { open: boolean };
  }
  interface Requests {
    'acme.open_door': { payload: { door: string }; answer: { open: boolean }; answerType: 'acme.door' };
  }
}

export function examples(anita: AnitaClient): void {
  new AnitaClient('wss://h/', { WebSocket });
  new AnitaClient(new URL('wss://h/'), { WebSocket: globalThis.WebSocket, token: () => 'text', network: null });
  new AnitaClient('wss://h/', { network: globalThis.window });
  anita.on('uwb.location', (fix, envelope) => {
    expectTypeOf(fix.location.x).toBeNumber();
    expectTypeOf(envelope).toExtend<Envelope>();
    expectTypeOf(envelope.type).toEqualTypeOf<'uwb.location'>();
  });
  anita.on('error', (error) => expectTypeOf(error).toEqualTypeOf<AnitaError>());
  anita.on('open', (hello) => expectTypeOf(hello).toEqualTypeOf<Hello>());
  anita.on('acme.door', ({ open }) => expectTypeOf(open).toBeBoolean());
  // @ts-expect-error -- no such event
  anita.on('uwb.locations', () => undefined);
  expectTypeOf(anita.request('ping', {})).resolves.toEqualTypeOf<{ server_time: string }>();
  expectTypeOf(anita.request('acme.open_door', { door: 'dock' })).resolves.toEqualTypeOf<{ open: boolean }>();
  // @ts-expect-error -- a field is missing
  void anita.request('get_device_location', {});
  // @ts-expect-error -- no such request
  void anita.request('acme.unknown', {});
  const store = new DeviceStore(anita);
  expectTypeOf(store.get('a')).toEqualTypeOf<Device | undefined>();
  expectTypeOf(store).not.toHaveProperty('delete');
  expectTypeOf(stream(anita, 'uwb.location').next()).resolves.toExtend<{ done?: boolean }>();
  // @ts-expect-error -- no such message
  void stream(anita, 'uwb.locations');
}

test('the examples compile', () => expectTypeOf(examples).toBeFunction());
