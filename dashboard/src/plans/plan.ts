import type { Bounds, Point } from '../map/camera';
import type { Site } from '../session';

/** Floor plans as the server tells them, and where their pictures lie. Nothing here touches the page. */

export interface Pair {
  /** In the picture, from its top left corner, y downwards. */
  readonly pixel: Point;
  /** In the site, metres. */
  readonly metres: Point;
}

export type Calibration = readonly [Pair, Pair];

export interface Picture {
  readonly url: string;
  readonly width: number;
  readonly height: number;
  /** It has as many pixels as one wants. */
  readonly vector: boolean;
}

export interface Plan {
  readonly id: string;
  readonly name: string;
  readonly site: string | undefined;
  readonly floor: number | null;
  readonly opacity: number;
  readonly calibration: Calibration | undefined;
  readonly picture: Picture | undefined;
}

export interface Limits {
  readonly plans: number;
  readonly pictureBytes: number;
  readonly mediaTypes: readonly string[];
}

/** What the server says when it says nothing else. */
export const LIMITS: Limits = {
  plans: 64,
  pictureBytes: 4_194_304,
  mediaTypes: ['image/png', 'image/svg+xml', 'image/jpeg', 'image/webp'],
};

/** From pixels `(u, v)` to metres: `x = a·u + b·v + x0`, `y = b·u − a·v + y0`. */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly x0: number;
  readonly y0: number;
}

/** The server's own bounds: what is outside of them it refuses. */
const APART_PX_MIN = 2;
const APART_M_MIN = 0.01;
const SCALE_MIN = 1e-4;
const SCALE_MAX = 100;

const apart = (a: Point, b: Point): number => Math.hypot(b.x - a.x, b.y - a.y);

/** Why two pairs of points say nothing about where a picture lies. */
export type Misplaced = 'number' | 'samePixel' | 'sameMetres' | 'scale';

export function judge([from, to]: Calibration): Misplaced | undefined {
  const numbers = [from, to].flatMap(({ pixel, metres }) => [pixel.x, pixel.y, metres.x, metres.y]);
  if (!numbers.every(Number.isFinite)) return 'number';
  const [px, m] = [apart(from.pixel, to.pixel), apart(from.metres, to.metres)];
  if (px < APART_PX_MIN) return 'samePixel';
  if (m < APART_M_MIN) return 'sameMetres';
  return m / px < SCALE_MIN || m / px > SCALE_MAX ? 'scale' : undefined;
}

/** How the picture lies: the one similarity that brings both points to their places. */
export function similarity([from, to]: Calibration): Similarity {
  const [du, dv] = [to.pixel.x - from.pixel.x, from.pixel.y - to.pixel.y];
  const [dx, dy] = [to.metres.x - from.metres.x, to.metres.y - from.metres.y];
  const square = du * du + dv * dv;
  const [a, b] = [(dx * du + dy * dv) / square, (dy * du - dx * dv) / square];
  return {
    a,
    b,
    x0: from.metres.x - a * from.pixel.x - b * from.pixel.y,
    y0: from.metres.y - b * from.pixel.x + a * from.pixel.y,
  };
}

export function metresOf({ a, b, x0, y0 }: Similarity, { x: u, y: v }: Point): Point {
  return { x: a * u + b * v + x0, y: b * u - a * v + y0 };
}

export const metresPerPixel = ({ a, b }: Similarity): number => Math.hypot(a, b);

/** Counter-clockwise, above −180° and at most 180°; a hair's breadth is none. */
export function rotationDegrees({ a, b }: Similarity): number {
  const degrees = (Math.atan2(b, a) * 180) / Math.PI;
  return Math.abs(degrees) < 0.05 ? 0 : degrees;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  px: 1,
  in: 96,
  cm: 96 / 2.54,
  mm: 9.6 / 2.54,
  pt: 96 / 72,
  pc: 16,
};

/** The size of an SVG as the server measures it: browsers disagree about one that has a view and no width. */
export function svgSize(text: string): { readonly width: number; readonly height: number } | undefined {
  const drawn = text.replace(/<!--[^]*?-->/g, '');
  const root = /<(?:[\w.-]+:)?svg(?=[\s>])((?:[^>"']|"[^"]*"|'[^']*')*)>/.exec(drawn)?.[1] ?? '';
  const attribute = (name: string): string | undefined =>
    new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(root)?.slice(1).find(Boolean);
  const length = (name: string): number | undefined => {
    const [, number = '', unit = ''] = /^\s*([-+.\deE]+?)\s*(px|in|cm|mm|pt|pc|)\s*$/.exec(attribute(name) ?? '') ?? [];
    const pixels = Number(number || NaN) * (UNITS[unit] ?? NaN);
    return pixels > 0 && Number.isFinite(pixels) ? pixels : undefined;
  };
  const [wide = 0, high = 0] = (attribute('viewBox') ?? '')
    .trim()
    .split(/[\s,]+/)
    .map(Number)
    .slice(2);
  const [width, height] = [length('width'), length('height')];
  if (width !== undefined && height !== undefined) return { width, height };
  if (!(wide > 0) || !(high > 0)) return undefined;
  if (width !== undefined) return { width, height: (width * high) / wide };
  return height === undefined ? { width: wide, height: high } : { width: (height * wide) / high, height };
}

/** A first guess: the whole picture, upright, in the middle of the site; of which nothing is known, a site of 40 m. */
export function guess({ width, height }: Pick<Picture, 'width' | 'height'>, bounds: Bounds | undefined): Calibration {
  const { minX, minY, maxX, maxY } = bounds ?? { minX: 0, minY: 0, maxX: 40, maxY: 40 };
  const scale = Math.min((maxX - minX || 40) / width, (maxY - minY || 40) / height);
  const clamped = Math.min(SCALE_MAX, Math.max(SCALE_MIN, scale));
  const [left, top] = [(minX + maxX - width * clamped) / 2, (minY + maxY + height * clamped) / 2];
  const pair = (x: number, y: number): Pair => ({
    pixel: { x, y },
    metres: { x: cm(left + x * clamped), y: cm(top - y * clamped) },
  });
  // Not the corners themselves, which are hard to point at.
  return [pair(round(width * 0.1), round(height * 0.9)), pair(round(width * 0.9), round(height * 0.1))];
}

const cm = (metres: number): number => Math.round(metres * 100) / 100;
const round = (pixels: number): number => Math.round(pixels * 10) / 10;

/** The same points of a picture that has other sides, if it is the same drawing by its proportions. */
export function carried(calibration: Calibration, before: Picture, after: Picture): Calibration | undefined {
  const factor = after.width / before.width;
  if (Math.abs((factor * before.height) / after.height - 1) > 0.005) return undefined;
  return scaled(calibration, factor);
}

export function scaled([from, to]: Calibration, factor: number): Calibration {
  const pair = ({ pixel, metres }: Pair): Pair => ({ pixel: { x: pixel.x * factor, y: pixel.y * factor }, metres });
  return [pair(from), pair(to)];
}

/**
 * The plans that are shown with a floor. Those of no floor are on every one; where all floors are shown, one over the
 * other would hide it, so that only those of the floor next to the ground are.
 */
export function plansOn(plans: readonly Plan[], floor: number | null, site: Site): readonly Plan[] {
  const here = plans.filter((plan) => plan.site === undefined || plan.site === site.name);
  const shown = floor ?? nextToTheGround(here);
  return here.filter((plan) => plan.floor === null || plan.floor === shown);
}

function nextToTheGround(plans: readonly Plan[]): number | null {
  let found: number | null = null;
  for (const { floor, picture } of plans) {
    if (floor === null || picture === undefined) continue;
    const better = found === null || Math.abs(floor) < Math.abs(found) || (floor === -found && floor > found);
    if (better) found = floor;
  }
  return found;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** The plans as the server tells them; what is odd is left out, so that the rest is shown. */
export function readPlans(value: unknown): { readonly plans: readonly Plan[]; readonly limits: Limits } {
  const told = isRecord(value) ? value : {};
  const plans = Array.isArray(told['plans']) ? (told['plans'] as unknown[]).map(readPlan) : [];
  const limits = isRecord(told['limits']) ? told['limits'] : {};
  const number = (name: string, otherwise: number): number => {
    const found = limits[name];
    return isNumber(found) ? found : otherwise;
  };
  const kinds = Array.isArray(limits['media_types']) ? (limits['media_types'] as unknown[]) : LIMITS.mediaTypes;
  return {
    plans: plans.filter((plan) => plan !== undefined),
    limits: {
      plans: number('plans_max', LIMITS.plans),
      pictureBytes: number('picture_bytes_max', LIMITS.pictureBytes),
      mediaTypes: kinds.filter((kind) => typeof kind === 'string'),
    },
  };
}

export function readPlan(value: unknown): Plan | undefined {
  if (!isRecord(value) || typeof value['id'] !== 'string') return undefined;
  const { id, name, site, floor, opacity } = value;
  return {
    id,
    name: typeof name === 'string' ? name : id,
    site: typeof site === 'string' ? site : undefined,
    floor: isNumber(floor) ? floor : null,
    opacity: isNumber(opacity) ? Math.min(1, Math.max(0, opacity)) : 1,
    calibration: readCalibration(value['calibration']),
    picture: readPicture(value['picture']),
  };
}

function readPicture(value: unknown): Picture | undefined {
  if (!isRecord(value)) return undefined;
  const { url, width_px: width, height_px: height } = value;
  if (typeof url !== 'string' || !url.startsWith('/') || !isNumber(width) || !isNumber(height)) return undefined;
  const vector = value['media_type'] === 'image/svg+xml';
  return width > 0 && height > 0 ? { url, width, height, vector } : undefined;
}

function readCalibration(value: unknown): Calibration | undefined {
  const points = isRecord(value) && Array.isArray(value['points']) ? (value['points'] as unknown[]) : [];
  const point = (told: unknown): Point | undefined => {
    const { x, y } = isRecord(told) ? told : {};
    return isNumber(x) && isNumber(y) ? { x, y } : undefined;
  };
  const [from, to] = points.map((told): Pair | undefined => {
    const [pixel, metres] = isRecord(told) ? [point(told['pixel']), point(told['metres'])] : [];
    return pixel === undefined || metres === undefined ? undefined : { pixel, metres };
  });
  if (from === undefined || to === undefined || judge([from, to]) !== undefined) return undefined;
  return [from, to];
}
