/** Where the map looks: metres of the site (x right, y up) to CSS pixels of the canvas (x right, y down) and back. */

export interface Camera {
  /** The site point in the middle of the canvas, in metres. */
  readonly x: number;
  readonly y: number;
  /** CSS pixels a metre. */
  readonly scale: number;
  /** The canvas in CSS pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Bounds {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

export const MIN_SCALE = 1e-4;
export const MAX_SCALE = 2_000;

const clampScale = (scale: number): number => Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));

export const screenX = (camera: Camera, x: number): number => camera.width / 2 + (x - camera.x) * camera.scale;
export const screenY = (camera: Camera, y: number): number => camera.height / 2 - (y - camera.y) * camera.scale;

export function toScreen(camera: Camera, point: Point): Point {
  return { x: screenX(camera, point.x), y: screenY(camera, point.y) };
}

export function toMetres(camera: Camera, pixel: Point): Point {
  return {
    x: camera.x + (pixel.x - camera.width / 2) / camera.scale,
    y: camera.y - (pixel.y - camera.height / 2) / camera.scale,
  };
}

/** Zooms by `factor` so that the site point under `pixel` stays under it. */
export function zoomAt(camera: Camera, factor: number, pixel: Point): Camera {
  const scale = clampScale(camera.scale * factor);
  const under = toMetres(camera, pixel);
  return {
    ...camera,
    scale,
    x: under.x - (pixel.x - camera.width / 2) / scale,
    y: under.y + (pixel.y - camera.height / 2) / scale,
  };
}

/** Moves the picture by pixels, as a drag does. */
export function panBy(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x - dx / camera.scale, y: camera.y + dy / camera.scale };
}

export function centreOn(camera: Camera, point: Point): Camera {
  return { ...camera, x: point.x, y: point.y };
}

export function resize(camera: Camera, width: number, height: number): Camera {
  return { ...camera, width, height };
}

/**
 * Shows all of `bounds` with `padding` pixels around it, more where something lies over the picture's `top` and `bottom`;
 * a single point gets a few metres around it.
 */
export function fit(camera: Camera, bounds: Bounds, padding = 48, top = padding, bottom = padding): Camera {
  const spanX = Math.max(bounds.maxX - bounds.minX, 4);
  const spanY = Math.max(bounds.maxY - bounds.minY, 4);
  const roomX = Math.max(camera.width - 2 * padding, camera.width / 2, 1);
  const roomY = Math.max(camera.height - top - bottom, camera.height / 2, 1);
  const scale = clampScale(Math.min(roomX / spanX, roomY / spanY));
  return {
    ...camera,
    scale,
    x: (bounds.minX + bounds.maxX) / 2,
    y: (bounds.minY + bounds.maxY + (top - bottom) / scale) / 2,
  };
}

export function visibleBounds(camera: Camera): Bounds {
  const halfX = camera.width / 2 / camera.scale;
  const halfY = camera.height / 2 / camera.scale;
  return { minX: camera.x - halfX, maxX: camera.x + halfX, minY: camera.y - halfY, maxY: camera.y + halfY };
}

export function boundsOf(points: Iterable<Point>): Bounds | undefined {
  let bounds: { minX: number; minY: number; maxX: number; maxY: number } | undefined;
  for (const { x, y } of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    bounds ??= { minX: x, maxX: x, minY: y, maxY: y };
    bounds.minX = Math.min(bounds.minX, x);
    bounds.maxX = Math.max(bounds.maxX, x);
    bounds.minY = Math.min(bounds.minY, y);
    bounds.maxY = Math.max(bounds.maxY, y);
  }
  return bounds;
}

export function contains(outer: Bounds, inner: Bounds): boolean {
  return outer.minX <= inner.minX && outer.minY <= inner.minY && outer.maxX >= inner.maxX && outer.maxY >= inner.maxY;
}

/** The smallest of 1, 2, 5 × 10ⁿ metres that is at least `pixels` wide. */
export function roundStep(scale: number, pixels: number): number {
  const raw = pixels / scale;
  const power = 10 ** Math.floor(Math.log10(raw));
  for (const step of [1, 2, 5]) if (step * power >= raw * (1 - 1e-9)) return step * power;
  return 10 * power;
}

/** The longest of 1, 2, 5 × 10ⁿ metres that is at most `pixels` wide: the length of the scale bar. */
export function scaleBar(scale: number, pixels: number): { metres: number; pixels: number; label: string } {
  const raw = pixels / scale;
  const power = 10 ** Math.floor(Math.log10(raw));
  let metres = power;
  for (const step of [2, 5]) if (step * power <= raw * (1 + 1e-9)) metres = step * power;
  return { metres, pixels: metres * scale, label: length(metres) };
}

/** `2 cm`, `5 m`, `10 km`. */
export function length(metres: number): string {
  if (metres >= 1_000) return `${String(round(metres / 1_000))} km`;
  if (metres >= 1) return `${String(round(metres))} m`;
  if (metres >= 0.01) return `${String(round(metres * 100))} cm`;
  return `${String(round(metres * 1_000))} mm`;
}

const round = (value: number): number => Number(value.toPrecision(6));
