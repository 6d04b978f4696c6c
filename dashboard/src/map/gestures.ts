import type { Point } from './camera';

export interface GestureTarget {
  /** The picture is dragged by pixels. */
  pan(dx: number, dy: number): void;
  /** Zooms about a pixel. */
  zoom(factor: number, at: Point): void;
  /** A click or tap that was no drag. */
  click(at: Point, touch: boolean): void;
  /** A mouse over the map, or `null` when it left. */
  hover(at: Point | null): void;
}

/** A pointer that moved less than this, in pixels, has clicked. */
const CLICK_SLACK = 5;

/** Turns pointer and wheel events of `element` into pan, zoom, click and hover; returns the way to stop. */
export function listenToGestures(element: HTMLElement, target: GestureTarget): () => void {
  const down = new Map<number, Point>();
  const stop = new AbortController();
  const { signal } = stop;
  let start: Point | undefined;
  let dragged = false;

  const at = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener(
    'pointerdown',
    (event) => {
      if (event.pointerType === 'mouse' && event.button !== 0 && event.button !== 1) return;
      element.setPointerCapture(event.pointerId);
      const point = at(event);
      down.set(event.pointerId, point);
      if (down.size === 1) {
        start = point;
        dragged = false;
      } else {
        dragged = true;
      }
    },
    { signal },
  );

  element.addEventListener(
    'pointermove',
    (event) => {
      const point = at(event);
      const before = down.get(event.pointerId);
      if (before === undefined) {
        if (event.pointerType === 'mouse') target.hover(point);
        return;
      }
      if (down.size === 1) {
        if (!dragged && start !== undefined && Math.hypot(point.x - start.x, point.y - start.y) < CLICK_SLACK) return;
        dragged = true;
        element.classList.add('is-dragged');
        target.pan(point.x - before.x, point.y - before.y);
      } else {
        const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
        if (other !== undefined) {
          const was = Math.hypot(before.x - other.x, before.y - other.y);
          const is = Math.hypot(point.x - other.x, point.y - other.y);
          const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
          target.pan((point.x - before.x) / 2, (point.y - before.y) / 2);
          if (was > 0 && is > 0) target.zoom(is / was, middle);
        }
      }
      down.set(event.pointerId, point);
    },
    { signal },
  );

  const lift = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId)) return;
    if (down.size > 0) return;
    element.classList.remove('is-dragged');
    if (!dragged && event.type === 'pointerup') target.click(at(event), event.pointerType !== 'mouse');
  };
  element.addEventListener('pointerup', lift, { signal });
  element.addEventListener('pointercancel', lift, { signal });
  element.addEventListener(
    'pointerleave',
    () => {
      target.hover(null);
    },
    { signal },
  );

  element.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      // A pinch on a touchpad arrives as a wheel with the control key, in smaller steps.
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      const steps = Math.max(-300, Math.min(300, event.deltaY * unit));
      target.zoom(Math.exp(-steps * speed), at(event));
    },
    { signal, passive: false },
  );

  return () => {
    stop.abort();
  };
}
