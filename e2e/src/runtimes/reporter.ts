import { AnitaClient } from '@anita/client';
import { WebSocket } from 'ws';

import type { Server } from '../anita.ts';

/** A second client: it reports where the walker is, and says something in the room `hall`. */
export interface Reporter {
  readonly walkTo: (x: number) => Promise<void>;
  readonly tell: (data: object) => Promise<void>;
  readonly close: () => void;
}

export async function startReporter(server: Server): Promise<Reporter> {
  const token = await server.token('operator', '--ttl', '1h');
  const anita = new AnitaClient(server.url('/ws'), { WebSocket, token, backoff: { baseMs: 100, capMs: 500 } });
  await anita.connect();
  return {
    walkTo: async (x) => {
      const { accepted } = await anita.request('report_location', { device_id: 'walker', location: { x, y: 2, z: 1 } });
      if (accepted !== 1) throw new Error(`the place ${x} was not accepted`);
    },
    tell: async (data) => {
      await anita.request('send_to_room', { room: 'hall', name: 'note', data });
    },
    close: () => {
      anita.close();
    },
  };
}
