import { useCallback, useSyncExternalStore } from 'react';
import type { AnitaClient } from './client.js';
import type { State } from './machine.js';
import type { Device, DeviceStore } from './store.js';

/** All devices; the component is drawn again when one of them changed, at most once a frame. */
export function useDevices(store: DeviceStore): readonly Device[] {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
}

/** One device; the component is drawn again when this one changed, and not for others. */
export function useDevice(store: DeviceStore, id: string): Device | undefined {
  const get = (): Device | undefined => store.get(id);
  return useSyncExternalStore(store.subscribe, get, get);
}

/** The state of the connection. */
export function useClientState(client: Pick<AnitaClient, 'on' | 'state'>): State {
  const subscribe = useCallback((listener: () => void) => client.on('state', listener), [client]);
  const get = (): State => client.state;
  return useSyncExternalStore(subscribe, get, get);
}
