import type { Palette } from './palette';

/** The shapes of the map. Status is shape and colour, never colour alone; the list and the legend use the same shapes. */

export const SYMBOL_SIZE = 26;

export type SymbolName = `${'tag' | 'anchor' | 'gateway'}-${'connected' | 'stale' | 'disconnected'}` | 'low';

/** Small pictures, drawn once for a theme and a pixel ratio, and then only copied. */
export class Symbols {
  readonly #palette: Palette;
  readonly #ratio: number;
  readonly #pictures = new Map<string, HTMLCanvasElement>();
  readonly #labels = new Map<string, { picture: HTMLCanvasElement; width: number }>();

  constructor(palette: Palette, ratio: number) {
    this.#palette = palette;
    this.#ratio = ratio;
  }

  draw(ctx: CanvasRenderingContext2D, name: string, x: number, y: number, scale: number): void {
    const size = SYMBOL_SIZE * scale;
    ctx.drawImage(this.#picture(name), x - size / 2, y - size / 2, size, size);
  }

  /** A name with a halo; returns the picture and its width in CSS pixels. */
  label(text: string, strong: boolean, quiet: boolean): { picture: HTMLCanvasElement; width: number } {
    const key = `${strong ? 'b' : quiet ? 'q' : 'n'}${text}`;
    const known = this.#labels.get(key);
    if (known !== undefined) return known;
    if (this.#labels.size > 1_200) this.#labels.clear();
    const font = `${strong ? '600 12.5px' : quiet ? '500 10.5px' : '500 11.5px'} ${this.#palette.font}`;
    const { canvas, ctx } = this.#canvas(1, LABEL_HEIGHT);
    ctx.font = font;
    const width = Math.ceil(ctx.measureText(text).width) + 8;
    canvas.width = width * this.#ratio;
    ctx.scale(this.#ratio, this.#ratio);
    ctx.font = font;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.lineJoin = 'round';
    ctx.lineWidth = 3.5;
    ctx.strokeStyle = this.#palette.halo;
    ctx.fillStyle = quiet ? this.#palette.labelQuiet : this.#palette.label;
    ctx.strokeText(text, width / 2, LABEL_HEIGHT / 2);
    ctx.fillText(text, width / 2, LABEL_HEIGHT / 2);
    const label = { picture: canvas, width };
    this.#labels.set(key, label);
    return label;
  }

  #picture(name: string): HTMLCanvasElement {
    let picture = this.#pictures.get(name);
    if (picture === undefined) {
      const { canvas, ctx } = this.#canvas(SYMBOL_SIZE, SYMBOL_SIZE);
      ctx.scale(this.#ratio, this.#ratio);
      ctx.translate(SYMBOL_SIZE / 2, SYMBOL_SIZE / 2);
      paint(ctx, name, this.#palette);
      picture = canvas;
      this.#pictures.set(name, picture);
    }
    return picture;
  }

  #canvas(width: number, height: number): { canvas: HTMLCanvasElement; ctx: CanvasRenderingContext2D } {
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil(width * this.#ratio);
    canvas.height = Math.ceil(height * this.#ratio);
    return { canvas, ctx: context(canvas) };
  }
}

export const LABEL_HEIGHT = 18;

export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const ctx = canvas.getContext('2d');
  if (ctx === null) throw new Error('this browser gives no 2D canvas');
  return ctx;
}

function paint(ctx: CanvasRenderingContext2D, name: string, palette: Palette): void {
  const [kind = 'tag', status = 'connected'] = name.split('-');
  ctx.lineJoin = 'round';
  ctx.lineCap = 'round';
  if (name === 'low') {
    ctx.beginPath();
    ctx.moveTo(7, -10);
    ctx.lineTo(11.2, -3);
    ctx.lineTo(2.8, -3);
    ctx.closePath();
    outlined(ctx, palette.low, palette.halo, 2.5);
    return;
  }
  const colour =
    status === 'stale'
      ? palette.stale
      : status === 'disconnected'
        ? palette.disconnected
        : kind === 'anchor'
          ? palette.anchor
          : kind === 'gateway'
            ? palette.gateway
            : palette.connected;
  if (status === 'disconnected') {
    cross(ctx, colour, palette.halo, kind === 'tag' ? 4.5 : 4);
    if (kind !== 'tag') ring(ctx, kind, colour);
    return;
  }
  outline(ctx, kind);
  if (status === 'stale') {
    ctx.lineWidth = 6;
    ctx.strokeStyle = palette.halo;
    ctx.stroke();
    ctx.fillStyle = palette.halo;
    ctx.fill();
    ctx.lineWidth = 2.5;
    ctx.strokeStyle = colour;
    ctx.stroke();
  } else {
    outlined(ctx, colour, palette.halo, 4);
  }
}

function outline(ctx: CanvasRenderingContext2D, kind: string): void {
  ctx.beginPath();
  if (kind === 'anchor') {
    ctx.moveTo(0, -6.5);
    ctx.lineTo(6, 4.5);
    ctx.lineTo(-6, 4.5);
    ctx.closePath();
  } else if (kind === 'gateway') {
    ctx.roundRect(-5.5, -5.5, 11, 11, 2);
  } else {
    ctx.arc(0, 0, 6, 0, Math.PI * 2);
  }
}

function ring(ctx: CanvasRenderingContext2D, kind: string, colour: string): void {
  outline(ctx, kind);
  ctx.lineWidth = 1.25;
  ctx.strokeStyle = colour;
  ctx.stroke();
}

function outlined(ctx: CanvasRenderingContext2D, fill: string, halo: string, width: number): void {
  ctx.lineWidth = width;
  ctx.strokeStyle = halo;
  ctx.stroke();
  ctx.fillStyle = fill;
  ctx.fill();
}

function cross(ctx: CanvasRenderingContext2D, colour: string, halo: string, arm: number): void {
  for (const [width, style] of [
    [6, halo],
    [2.5, colour],
  ] as const) {
    ctx.beginPath();
    ctx.moveTo(-arm, -arm);
    ctx.lineTo(arm, arm);
    ctx.moveTo(arm, -arm);
    ctx.lineTo(-arm, arm);
    ctx.lineWidth = width;
    ctx.strokeStyle = style;
    ctx.stroke();
  }
}
