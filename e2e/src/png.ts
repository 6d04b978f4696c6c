import { deflateSync, inflateSync } from 'node:zlib';

/** As much of PNG as pictures of pages need: pixels out of what the browser gives, and a small file of few colours. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Three bytes a pixel. */
  readonly rgb: Uint8Array;
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Reads eight bits a channel, with or without alpha, not interlaced: what Chromium writes. */
export function decode(png: Buffer): Picture {
  const parts = new Map<string, Buffer[]>();
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    const name = png.toString('latin1', at + 4, at + 8);
    parts.set(name, [...(parts.get(name) ?? []), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  const head = parts.get('IHDR')?.[0];
  if (head === undefined) throw new Error('this is no PNG');
  const [width, height, depth, colour, interlaced] = [head.readUInt32BE(0), head.readUInt32BE(4), ...head.subarray(8)];
  const channels = colour === 2 ? 3 : colour === 6 ? 4 : 0;
  if (depth !== 8 || channels === 0 || head[12] !== 0 || interlaced === undefined) {
    throw new Error(`a PNG of ${String(depth)} bits and colour type ${String(colour)} is not read here`);
  }
  const data = inflateSync(Buffer.concat(parts.get('IDAT') ?? []));
  const lines = unfilter(data, width * channels, height, channels);
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      rgb[pixel * 3 + channel] = lines[pixel * channels + channel] ?? 0;
    }
  }
  return { width, height, rgb };
}

function unfilter(data: Buffer, stride: number, height: number, channels: number): Uint8Array {
  const lines = new Uint8Array(stride * height);
  for (let row = 0; row < height; row += 1) {
    const filter = data[row * (stride + 1)];
    const start = row * stride;
    for (let column = 0; column < stride; column += 1) {
      const raw = data[row * (stride + 1) + 1 + column] ?? 0;
      const left = column < channels ? 0 : (lines[start + column - channels] ?? 0);
      const up = row === 0 ? 0 : (lines[start - stride + column] ?? 0);
      const corner = row === 0 || column < channels ? 0 : (lines[start - stride + column - channels] ?? 0);
      lines[start + column] = raw + predicted(filter, left, up, corner);
    }
  }
  return lines;
}

function predicted(filter: number | undefined, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter !== 4) return 0;
  const [toLeft, toUp, toCorner] = [
    Math.abs(up - corner),
    Math.abs(left - corner),
    Math.abs(left + up - 2 * corner),
  ] as const;
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** How many pixels have each colour, as one number a colour. */
export function colours({ rgb }: Picture): Map<number, number> {
  const counts = new Map<number, number>();
  for (let at = 0; at < rgb.length; at += 3) {
    const colour = ((rgb[at] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at + 2] ?? 0);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return counts;
}

/** A PNG with a palette of at most 256 colours. */
export function encodeFew(picture: Picture): Buffer {
  const palette = choose(colours(picture));
  const nearest = new Map<number, number>();
  const { width, height, rgb } = picture;
  const lines = Buffer.alloc((width + 1) * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const at = (row * width + column) * 3;
      const colour = ((rgb[at] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at + 2] ?? 0);
      let index = nearest.get(colour);
      if (index === undefined) nearest.set(colour, (index = closest(palette, colour)));
      lines[row * (width + 1) + 1 + column] = index;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const table = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const data = deflateSync(lines, { level: 9, memLevel: 9 });
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('PLTE', table),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The square of the distance of two colours, green counting most, as for eyes. */
function distance(one: number, other: number): number {
  const [red, green, blue] = [
    (one >> 16) - (other >> 16),
    ((one >> 8) & 255) - ((other >> 8) & 255),
    (one & 255) - (other & 255),
  ];
  return 2 * red * red + 4 * green * green + 3 * blue * blue;
}

function closest(palette: readonly number[], colour: number): number {
  let best = 0;
  let least = Infinity;
  for (const [index, one] of palette.entries()) {
    const far = distance(one, colour);
    if (far < least) [best, least] = [index, far];
  }
  return best;
}

/** How many colours are kept as they are: those of areas and of text. */
const KEPT = 144;

/** The most frequent colours as they are, then those of edges and shadows, as far apart as it takes to have room. */
function choose(counts: Map<number, number>): number[] {
  const byCount = [...counts].sort(([, one], [, other]) => other - one).map(([colour]) => colour);
  const kept = byCount.slice(0, KEPT);
  for (let apart = 16; ; apart *= 1.4) {
    const palette = [...kept];
    for (const colour of byCount.slice(KEPT)) {
      if (palette.length > 256) break;
      if (palette.every((one) => distance(one, colour) >= apart)) palette.push(colour);
    }
    if (palette.length <= 256) return palette;
  }
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

function crc32(bytes: Buffer): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb8_8320 : 0);
  }
  return ~sum >>> 0;
}
