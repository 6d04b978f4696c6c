import { signal } from '@preact/signals';

import type { Site, Zone } from '../session';
import { boundsOf, roundStep, screenX, screenY, visibleBounds, type Camera, type Point } from './camera';
import type { Palette } from './palette';

/** What lies on the floor, under the zones. Another one is another object: it is painted once a view. */
export interface Underlay {
  /** What would cover the grid. */
  readonly below: (ctx: CanvasRenderingContext2D, camera: Camera) => void;
  /** Lines, which the grid would cut. */
  readonly above: (ctx: CanvasRenderingContext2D, camera: Camera) => void;
}

/** What lies on the floor that is shown: the same in every map. */
export const underlay = signal<Underlay | undefined>(undefined);

/** Where a zone's name is written: left, top, width and height. */
export type Written = readonly [x: number, y: number, width: number, height: number];

/** The part of the picture that only changes with the view: ground, floor, what lies on it, grid, zones. Says where it has written. */
export function paintBase(
  ctx: CanvasRenderingContext2D,
  camera: Camera,
  site: Site,
  palette: Palette,
  lying: Underlay | undefined,
): readonly Written[] {
  const { width, height } = camera;
  const { bounds } = site;
  ctx.fillStyle = bounds === undefined ? palette.floor : palette.ground;
  ctx.fillRect(0, 0, width, height);

  const room =
    bounds === undefined
      ? undefined
      : ([
          Math.round(screenX(camera, bounds.minX)),
          Math.round(screenY(camera, bounds.maxY)),
          Math.round((bounds.maxX - bounds.minX) * camera.scale),
          Math.round((bounds.maxY - bounds.minY) * camera.scale),
        ] as const);
  if (room !== undefined) {
    ctx.fillStyle = palette.floor;
    ctx.fillRect(...room);
  }
  lying?.below(ctx, camera);
  paintGrid(ctx, camera, palette);
  lying?.above(ctx, camera);
  for (const [index, zone] of site.zones.entries()) {
    paintZone(ctx, camera, zone, palette.zones[index % palette.zones.length] ?? palette.grid);
  }
  if (room !== undefined) {
    ctx.strokeStyle = palette.wall;
    ctx.lineWidth = 2;
    ctx.strokeRect(...room);
  }
  return site.zones.flatMap((zone) => nameZone(ctx, camera, zone, palette) ?? []);
}

function paintGrid(ctx: CanvasRenderingContext2D, camera: Camera, palette: Palette): void {
  const step = roundStep(camera.scale, 80);
  if ((step / 5) * camera.scale >= 14) lines(ctx, camera, step / 5, palette.grid);
  lines(ctx, camera, step, palette.gridStrong);
  // The axes of the site's frame.
  ctx.strokeStyle = palette.axis;
  ctx.beginPath();
  const x = Math.round(screenX(camera, 0)) + 0.5;
  const y = Math.round(screenY(camera, 0)) + 0.5;
  ctx.moveTo(x, 0);
  ctx.lineTo(x, camera.height);
  ctx.moveTo(0, y);
  ctx.lineTo(camera.width, y);
  ctx.stroke();
}

function lines(ctx: CanvasRenderingContext2D, camera: Camera, step: number, colour: string): void {
  const seen = visibleBounds(camera);
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let index = Math.ceil(seen.minX / step); index * step <= seen.maxX; index += 1) {
    const x = Math.round(screenX(camera, index * step)) + 0.5;
    ctx.moveTo(x, 0);
    ctx.lineTo(x, camera.height);
  }
  for (let index = Math.ceil(seen.minY / step); index * step <= seen.maxY; index += 1) {
    const y = Math.round(screenY(camera, index * step)) + 0.5;
    ctx.moveTo(0, y);
    ctx.lineTo(camera.width, y);
  }
  ctx.stroke();
}

function paintZone(ctx: CanvasRenderingContext2D, camera: Camera, zone: Zone, colour: string): void {
  ctx.beginPath();
  for (const [x, y] of zone.polygon) ctx.lineTo(screenX(camera, x), screenY(camera, y));
  ctx.closePath();
  ctx.fillStyle = colour;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.globalAlpha = 0.13;
  ctx.fill();
  ctx.globalAlpha = 0.75;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

/** In the upper left of the zone, out of the way of what moves in its middle; left out where it would not fit. */
function nameZone(ctx: CanvasRenderingContext2D, camera: Camera, zone: Zone, palette: Palette): [Written] | undefined {
  if (zone.name === '') return undefined;
  ctx.font = `600 11px ${palette.font}`;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'top';
  const at = nameAnchor(zone.polygon);
  const { width } = ctx.measureText(zone.name);
  if (width + 16 > at.width * camera.scale || at.height * camera.scale < 28) return undefined;
  const [x, y] = [screenX(camera, at.x) + 8, screenY(camera, at.y) + 8];
  ctx.fillStyle = palette.zoneText;
  ctx.fillText(zone.name, x, y);
  return [[x, y, width, 11]];
}

/** The leftmost of the polygon's highest corners, and the room to the right of it and below. */
function nameAnchor(polygon: Zone['polygon']): Point & { width: number; height: number } {
  const bounds = boundsOf(polygon.map(([x, y]) => ({ x, y })));
  if (bounds === undefined) return { x: 0, y: 0, width: 0, height: 0 };
  let left = bounds.maxX;
  for (const [x, y] of polygon) if (y === bounds.maxY) left = Math.min(left, x);
  return { x: left, y: bounds.maxY, width: bounds.maxX - left, height: bounds.maxY - bounds.minY };
}
