import { signal } from '@preact/signals';

import { address, call, Problem } from '../session';
import { loadImage, Raster } from './picture';
import { LIMITS, readPlan, readPlans, scaled, type Calibration, type Limits, type Picture, type Plan } from './plan';

/** The floor plans of the server, with their pictures, and the one that is being changed. */

/** A plan as somebody wants it, before the server has it. */
export interface Draft {
  /** Absent while the server knows nothing of it. */
  readonly id: string | undefined;
  readonly name: string;
  readonly site: string | undefined;
  readonly floor: number | null;
  readonly opacity: number;
  readonly calibration: Calibration;
  readonly picture: Picture;
  /** The chosen file; absent while the picture is the server's. */
  readonly file: Blob | undefined;
}

export const plans = signal<readonly Plan[]>([]);
export const limits = signal<Limits>(LIMITS);
export const draft = signal<Draft | null>(null);
/** Those pictures that are there, by their addresses. */
export const rasters = signal<ReadonlyMap<string, Raster>>(new Map());

let loading = new Set<string>();
let asked = 0;

/** Asks for the plans; the browser knows by their tag whether there is anything new. */
export async function reload(): Promise<void> {
  const turn = (asked += 1);
  const response = await call('GET', 'api/v1/plans');
  const told = readPlans(await response.json());
  if (turn !== asked) return;
  plans.value = told.plans;
  limits.value = told.limits;
}

/** Nobody is signed in any more: nothing of it is shown. */
export function forget(): void {
  asked += 1;
  plans.value = [];
  draft.value = null;
  rasters.value = new Map();
  loading = new Set();
}

/** Where a picture of the server is; the page may be below a path. */
export const addressOf = (url: string): string => (url.startsWith('/') ? address(url.slice(1)).href : url);

/** Keeps the pictures of these addresses, and fetches those that are not there. */
export function keepPictures(pictures: readonly Picture[]): void {
  const wanted = new Set(pictures.map(({ url }) => url));
  const kept = [...rasters.peek()].filter(([url]) => wanted.has(url));
  if (kept.length < rasters.peek().size) rasters.value = new Map(kept);
  for (const picture of pictures) {
    const { url } = picture;
    if (loading.has(url) || rasters.peek().has(url)) continue;
    loading.add(url);
    void loadImage(addressOf(url))
      .then((image) => {
        rasters.value = new Map(rasters.peek()).set(url, new Raster(image, picture));
      })
      // What can't be had, or is no picture for this browser, is not shown; it is tried again with the next list.
      .catch(() => undefined)
      .finally(() => loading.delete(url));
  }
}

interface Written {
  readonly name: string;
  readonly site?: string;
  readonly floor?: number;
  readonly opacity: number;
  readonly calibration: { readonly points: Calibration };
}

/** Sends the draft; the plan as the server has it now. */
export async function save(wanted: Draft): Promise<Plan> {
  const path = `api/v1/plans/${wanted.id ?? freshId()}`;
  const body: Written = {
    name: wanted.name,
    ...(wanted.site === undefined ? {} : { site: wanted.site }),
    ...(wanted.floor === null ? {} : { floor: wanted.floor }),
    opacity: wanted.opacity,
    calibration: { points: wanted.calibration },
  };
  const put = async (points: Calibration): Promise<Plan> =>
    noted(await (await call('PUT', path, { ...body, calibration: { points } })).json());
  if (wanted.file === undefined) return put(wanted.calibration);
  // There has to be a plan before its picture; and with a picture of other sides the server forgets where it lay.
  if (wanted.id === undefined) await call('PUT', path, body);
  let sent: Plan;
  try {
    sent = noted(await (await call('PUT', `${path}/picture`, wanted.file)).json());
  } catch (error) {
    // A plan without its picture is nothing that anybody wanted.
    if (wanted.id === undefined) await call('DELETE', path).catch(() => undefined);
    throw error;
  }
  // The server's measure counts, where a browser has another one.
  const factor = (sent.picture?.width ?? wanted.picture.width) / wanted.picture.width;
  return put(factor === 1 ? wanted.calibration : scaled(wanted.calibration, factor));
}

function noted(told: unknown): Plan {
  const plan = readPlan(told);
  if (plan === undefined) throw new Problem(0, 'internal', 'The server’s answer is no floor plan.', 'Reload the page.');
  asked += 1;
  const others = plans.peek().filter(({ id }) => id !== plan.id);
  plans.value = [...others, plan].sort((a, b) => (a.id < b.id ? -1 : 1));
  return plan;
}

export async function remove(id: string): Promise<void> {
  await call('DELETE', `api/v1/plans/${id}`);
  asked += 1;
  plans.value = plans.peek().filter((plan) => plan.id !== id);
}

/** Random, since two people may add a plan at the same time. */
function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `plan-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
