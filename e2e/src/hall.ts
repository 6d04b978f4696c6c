import { AnitaClient } from '@anita/client';
import { WebSocket } from 'ws';

import { freePort, makeServer, type Server } from './anita.ts';

/** A hall at work, for the tour and the pictures: the real program with simulated tags, names, a plan and a past. */

/** Where the simulated tags walk, as the program's own demo has it. */
const SITE = `[site]
name = "Hall 3"
bounds = [0, 0, 40, 25]
${(
  [
    ['Receiving', '[0, 0], [8, 0], [8, 12], [0, 12]'],
    ['Office', '[1, 19], [8, 19], [8, 24.4], [1, 24.4]'],
    ['Storage', '[10, 13], [26, 13], [26, 25], [10, 25], [10, 19], [12, 19], [12, 15], [10, 15]'],
    ['Assembly', '[10, 0], [26, 0], [26, 10], [10, 10]'],
    ['Crane area', '[28, 13], [40, 13], [40, 25], [28, 25]'],
    ['Shipping', '[28, 0], [40, 0], [40, 10], [28, 10]'],
  ] as const
)
  .map(([name, polygon]) => `[[site.zones]]\nname = "${name}"\npolygon = [${polygon}]\n`)
  .join('')}`;

const simulated = (tags: number): string =>
  `[[sources]]\nname = "hall"\ntype = "simulator"\ndevices = ${String(tags)}\nseed = 11\n`;

/** Twenty pixels a metre: walls with gates, the racks, benches and lanes. */
const RACKS = [14, 17, 20, 23].map((x) => `M${String(x * 20)} 30v180h24v-180z`).join('');
const BENCHES = [
  [230, 330],
  [330, 330],
  [430, 330],
  [230, 440],
  [330, 440],
  [430, 440],
]
  .map(([x, y]) => `M${String(x)} ${String(y)}h64v26h-64z`)
  .join('');
const DOCKS = [330, 390, 450].map((y) => `M770 ${String(y)}h28v36h-28z`).join('');
const DRAWING = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 500">
<rect width="800" height="500" fill="#fff"/>
<g fill="none" stroke="#000" stroke-width="2">
<path d="${RACKS}${BENCHES}${DOCKS}M20 280h70v50h-70zM20 360h70v50h-70zM36 50h44v26h-44zM100 50h44v26h-44z"/>
<path d="M580 60h200M580 220h200M600 60v160M760 60v160" stroke-dasharray="10 8"/>
</g>
<path d="M0 3h800M797 0v330M797 486v14M3 0v300M3 420v80M0 497h800M0 120h110M160 0v70" fill="none" stroke="#000" stroke-width="6"/>
</svg>`;

const NAMES = ['Forklift', 'Pallet truck', 'Cart', 'Reach truck', 'Tool trolley'] as const;

export interface Hall extends Server {
  /** When its recorded past began and ended, in milliseconds. */
  readonly past: readonly [from: number, to: number];
}

interface Options {
  readonly tags: number;
  /** Minutes of a past that are reported before anybody looks; whole without a plan and names when 0. */
  readonly minutes: number;
}

/** A hall whose server runs. */
export async function openHall({ tags, minutes }: Options): Promise<Hall> {
  const nobody = await freePort();
  const gate = `[[sources]]\nname = "north-gate"\ntype = "mqtt"\nurl = "mqtt://127.0.0.1:${String(nobody)}"\nformat = "drtls"\n`;
  const server = await makeServer(`${SITE}${simulated(tags)}${gate}`, undefined, 'sqlite:anita.db');
  await server.start();
  const to = Math.floor(Date.now() / 1_000) * 1_000 - 5_000;
  const past = [to - minutes * 60_000, to] as const;
  if (minutes > 0) {
    await nameTags(server, tags);
    await drawPlan(server);
    await reportPast(server, Math.min(tags, 20), past);
  }
  return { ...server, past };
}

/** Asks the server, and throws what it refuses. */
export async function ask(server: Server, token: string, method: string, path: string, body: object | string) {
  const isJson = typeof body !== 'string';
  const response = await fetch(`${server.http}api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(isJson ? { 'content-type': 'application/json' } : {}) },
    body: isJson ? JSON.stringify(body) : body,
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${await response.text()}`);
}

async function nameTags(server: Server, tags: number): Promise<void> {
  const token = await server.token('operator', '--subject', 'setup');
  const anita = new AnitaClient(server.url('/ws'), { WebSocket, token });
  await anita.connect();
  for (let index = 0; index < tags; index += 1) {
    const kind = NAMES[index % NAMES.length] ?? NAMES[0];
    const name = `${kind} ${String(Math.floor(index / NAMES.length) + 1)}`;
    await anita.request('register_device', { device_id: `tag-${String(index + 1)}`, name }).catch(async () => {
      await anita.request('update_device', { device_id: `tag-${String(index + 1)}`, name });
    });
  }
  anita.close();
}

async function drawPlan(server: Server): Promise<void> {
  const admin = await server.token('admin', '--subject', 'setup');
  await ask(server, admin, 'PUT', 'plans/hall', {
    name: 'Hall 3',
    calibration: {
      points: [
        { pixel: { x: 0, y: 500 }, metres: { x: 0, y: 0 } },
        { pixel: { x: 800, y: 0 }, metres: { x: 40, y: 25 } },
      ],
    },
  });
  await ask(server, admin, 'PUT', 'plans/hall/picture', DRAWING);
}

/** The lanes between the zones, in metres. */
const LANES = [
  [4, 6],
  [9, 11.5],
  [18, 11.5],
  [27, 11.5],
  [34, 5],
  [27, 11.5],
  [34, 19],
  [27, 11.5],
  [18, 5],
  [9, 11.5],
  [18, 19],
  [9, 11.5],
] as const;

/** Each tag goes round the lanes at a pace of its own, a fix a second; there is a break, and not all work all the time. */
async function reportPast(server: Server, tags: number, [from, to]: readonly [number, number]): Promise<void> {
  const token = await server.token('publisher', '--subject', 'setup');
  const seconds = (to - from) / 1_000;
  let locations: object[] = [];
  for (let second = 0; second < seconds; second += 1) {
    const share = second / seconds;
    // The break.
    if (share > 0.55 && share < 0.62) continue;
    const working = Math.ceil(tags * (0.45 + 0.5 * Math.sin(share * Math.PI) ** 2));
    for (let tag = 0; tag < working; tag += 1) {
      locations.push({
        device_id: `tag-${String(tag + 1)}`,
        location: { ...onLanes(tag, second), z: 1.2 },
        timestamp: new Date(from + second * 1_000 + tag * 17).toISOString(),
        accuracy: 0.2,
      });
    }
    if (locations.length < 900 && second + 1 < seconds) continue;
    await ask(server, token, 'POST', 'locations', { locations });
    locations = [];
  }
  if (locations.length > 0) await ask(server, token, 'POST', 'locations', { locations });
}

function onLanes(tag: number, second: number): { x: number; y: number } {
  const way = (second * (0.06 + (tag % 5) * 0.012) + tag * 1.7) % LANES.length;
  const here = LANES[Math.floor(way)] ?? LANES[0];
  const next = LANES[(Math.floor(way) + 1) % LANES.length] ?? LANES[0];
  const share = way % 1;
  // Beside the lane's middle, and nobody drives in a straight line.
  const aside = ((tag % 7) - 3) * 0.45 + Math.sin(second / 9 + tag) * 0.2;
  const x = here[0] + (next[0] - here[0]) * share + aside;
  const y = here[1] + (next[1] - here[1]) * share + aside * 0.8;
  return { x: Math.round(x * 1_000) / 1_000, y: Math.round(y * 1_000) / 1_000 };
}
