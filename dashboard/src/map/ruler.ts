import { decimals } from '../words';
import { screenX, screenY, type Camera, type Point } from './camera';
import { distance } from './measure';
import type { Palette } from './palette';

/** Draws the line of the measure tool, each piece with its length; dashed to where the next point would be. */
export function paintRuler(
  ctx: CanvasRenderingContext2D,
  camera: Camera,
  points: readonly Point[],
  next: Point | null,
  palette: Palette,
): void {
  const all = next === null ? points : [...points, next];
  const pixel = ({ x, y }: Point): readonly [number, number] => [screenX(camera, x), screenY(camera, y)];
  ctx.lineJoin = ctx.lineCap = 'round';
  for (const [width, colour] of [
    [5, palette.halo],
    [2, palette.measure],
  ] as const) {
    ctx.lineWidth = width;
    ctx.strokeStyle = colour;
    ctx.beginPath();
    for (const point of points) ctx.lineTo(...pixel(point));
    ctx.stroke();
  }
  const last = points.at(-1);
  if (last !== undefined && next !== null) {
    ctx.setLineDash([6, 5]);
    ctx.beginPath();
    ctx.moveTo(...pixel(last));
    ctx.lineTo(...pixel(next));
    ctx.stroke();
    ctx.setLineDash([]);
  }
  for (const point of points) {
    ctx.beginPath();
    ctx.arc(...pixel(point), 4.5, 0, Math.PI * 2);
    ctx.fillStyle = palette.halo;
    ctx.fill();
    ctx.stroke();
  }
  all.forEach((point, index) => {
    const before = all[index - 1];
    if (before !== undefined) nameLength(ctx, pixel(before), pixel(point), distance(before, point), palette);
  });
}

/** In the middle of the piece, when the piece has room for it. */
function nameLength(
  ctx: CanvasRenderingContext2D,
  from: readonly [number, number],
  to: readonly [number, number],
  metres: number,
  palette: Palette,
): void {
  if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 34) return;
  const text = `${decimals(metres, 2)} m`;
  ctx.font = `600 12px ${palette.font}`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  const width = ctx.measureText(text).width + 10;
  const x = (from[0] + to[0]) / 2;
  const y = (from[1] + to[1]) / 2;
  ctx.beginPath();
  ctx.roundRect(x - width / 2, y - 10, width, 20, 6);
  ctx.fillStyle = palette.halo;
  ctx.fill();
  ctx.lineWidth = 1;
  ctx.stroke();
  ctx.fillStyle = palette.label;
  ctx.fillText(text, x, y + 0.5);
  ctx.lineWidth = 2;
}
