import { screenX, screenY, type Camera, type Point } from './camera';

export interface Pickable {
  readonly id: string;
  readonly kind: string;
  readonly shownX: number;
  readonly shownY: number;
  readonly placed: boolean;
}

/** How far from a symbol's middle a click still counts, in pixels: fingers need more than a mouse. */
export const MOUSE_REACH = 14;
export const TOUCH_REACH = 24;

/** The nearest shown item within `reach` pixels; a tag wins over an anchor or gateway that is less than 4 pixels nearer. */
export function pick<Item extends Pickable>(
  items: Iterable<Item>,
  camera: Camera,
  pixel: Point,
  reach: number,
  isShown: (item: Item) => boolean = () => true,
): string | undefined {
  let found: string | undefined;
  let best = reach;
  for (const item of items) {
    if (!item.placed || !isShown(item)) continue;
    const distance =
      Math.hypot(screenX(camera, item.shownX) - pixel.x, screenY(camera, item.shownY) - pixel.y) +
      (item.kind === 'tag' ? 0 : 4);
    if (distance <= best) {
      best = distance;
      found = item.id;
    }
  }
  return found;
}
