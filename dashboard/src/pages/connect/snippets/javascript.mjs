import { AnitaClient } from '@anita/client';
import { WebSocket } from 'ws'; // Node 20 only: later ones have it

const token = process.env.ANITA_TOKEN ?? '';
const anita = new AnitaClient('ws://127.0.0.1:8080/ws', { token, WebSocket });
await anita.connect();
const fix = { device_id: 'cart-7', location: { x: 1.5, y: 2, z: 0 } };
console.log(await anita.request('report_location', fix));
anita.close();
