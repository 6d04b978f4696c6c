import type { Point } from './camera';

/** The measure tool: a line of points in metres. */

/** More points than anybody sets by hand. */
export const MAX_POINTS = 200;

export const distance = (a: Point, b: Point): number => Math.hypot(b.x - a.x, b.y - a.y);

/** The length of each piece. */
export function pieces(points: readonly Point[]): number[] {
  const lengths: number[] = [];
  points.forEach((point, index) => {
    const before = points[index - 1];
    if (before !== undefined) lengths.push(distance(before, point));
  });
  return lengths;
}

export const total = (points: readonly Point[]): number => pieces(points).reduce((sum, piece) => sum + piece, 0);

/** The area within the points, when the last is joined to the first; of crossing lines, the sum with signs. */
export function area(points: readonly Point[]): number {
  let twice = 0;
  points.forEach((point, index) => {
    const next = points[(index + 1) % points.length] ?? point;
    twice += point.x * next.y - next.x * point.y;
  });
  return Math.abs(twice) / 2;
}

/** One more point, unless it is the last one again (as a double click sets it) or there are too many. */
export function withPoint(points: readonly Point[], point: Point): readonly Point[] {
  const last = points.at(-1);
  if (points.length >= MAX_POINTS || (last !== undefined && distance(last, point) < 1e-6)) return points;
  return [...points, point];
}
