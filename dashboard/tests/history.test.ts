import { describe, expect, it } from 'vitest';

import { GAP_MS } from '../src/map/trail';
import { readPast, writePast, type PastAddress } from '../src/pages/history/address';
import { Archive, Chunk, ColumnsBuilder, TooMany, type PastFix } from '../src/pages/history/archive';
import { FixReader, NotAnExport } from '../src/pages/history/csv';
import { PastWorld } from '../src/pages/history/past';
import {
  busiest,
  endFor,
  expected,
  firstOf,
  fromLocalField,
  marks,
  nextPiece,
  partsOf,
  skip,
  spacingFor,
  tidyRange,
  toLocalField,
  type Density,
  type Needs,
} from '../src/pages/history/plan';
import { advance, eachFix, goneAfter, momentOf, stepFrom, type Range } from '../src/pages/history/replay';

const T0 = Date.UTC(2026, 2, 1, 12);

interface Plain {
  readonly id: string;
  readonly time: number;
  readonly x: number;
  readonly y: number;
}

/** A chunk of these fixes; those before its start are what was known when it begins. */
function chunk(start: number, end: number, fixes: readonly Plain[], everyMs = 0): Chunk {
  const builder = new ColumnsBuilder();
  const before = new Map<string, PastFix>();
  const sorted = [...fixes].sort((a, b) => (a.id === b.id ? a.time - b.time : a.id < b.id ? -1 : 1));
  let last: string | undefined;
  for (const { id, time, x, y } of sorted) {
    if (time < start) {
      const pauseMs = before.has(id) ? time - (before.get(id)?.time ?? 0) : 0;
      before.set(id, { time, x, y, z: 0, accuracy: NaN, floor: NaN, battery: NaN, pauseMs });
      continue;
    }
    if (time >= end) continue;
    if (id !== last) builder.device(id);
    last = id;
    builder.fix(time, x, y, 0, NaN, NaN, NaN);
  }
  return new Chunk(start, end, everyMs, builder.finish(), before);
}

/** A generator of numbers that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

const HEADER = 'device_id,timestamp,received_at,x_m,y_m,z_m,accuracy_m,floor,battery_percent,source,site,sequence\r\n';

function read(text: string, cut = 7): string[] {
  const told: string[] = [];
  const reader = new FixReader({
    device: (id) => told.push(`device ${id}`),
    fix: (time, x, y, z, accuracy, floor, battery) => {
      told.push([time - T0, x, y, z, accuracy, floor, battery].join(' '));
    },
  });
  const bytes = new TextEncoder().encode(text);
  for (let from = 0; from < bytes.length; from += cut) reader.push(bytes.slice(from, from + cut));
  reader.end();
  return told;
}

describe('the export', () => {
  const lines =
    'tag-1,2026-03-01T12:00:00.000000Z,2026-03-01T12:00:00.100000Z,1.5,-2.000,0.5,0.25,2,81.5,hall,,7\r\n' +
    'tag-1,2026-03-01T12:01:00.250001Z,2026-03-01T12:01:00.300000Z,2,3,,,,,hall,,\r\n' +
    '"cart, ""7""",2026-03-01T12:00:01.000000Z,2026-03-01T12:00:01.000000Z,4,5,6,,,,hall,,\r\n' +
    '"two\nlines",2026-03-01T12:00:01.000000Z,2026-03-01T12:00:01.000000Z,4,5,6,,,,"a ""b""",,\r\n';

  it.each([1, 2, 7, 64, 100_000])('is read the same in pieces of %i bytes', (cut) => {
    expect(read(HEADER + lines, cut)).toEqual([
      'device tag-1',
      '0 1.5 -2 0.5 0.25 2 81.5',
      '60250.0009765625 2 3 NaN NaN NaN NaN',
      'device cart, "7"',
      '1000 4 5 6 NaN NaN NaN',
      'device two\nlines',
      '1000 4 5 6 NaN NaN NaN',
    ]);
  });

  it('may have other columns, in another order, and no fixes', () => {
    const header = 'battery_percent,floor,accuracy_m,z_m,y_m,x_m,new,timestamp,device_id\n';
    expect(read(`${header}50,1,0.1,3,2,1,?,2026-03-01T12:00:00.000000Z,a\n`)).toEqual(['device a', '0 1 2 3 0.1 1 50']);
    expect(read(HEADER)).toEqual([]);
  });

  it.each([
    ['half a line', `${HEADER}tag-1,2026-03-01T12:00`],
    ['nothing', ''],
    ['another header', 'a,b,c\n'],
    ['no time', `${HEADER}tag-1,yesterday,,1,2,3,,,,,,\n`],
    ['no place', `${HEADER}tag-1,2026-03-01T12:00:00.000000Z,,,2,3,,,,,,\n`],
    ['a page of a proxy', '<html>\n<body>sorry</body>\n'],
  ])('is refused when it is %s', (_what, text) => {
    expect(() => read(text)).toThrow(NotAnExport);
  });

  it('of more than one stretch holds is stopped', () => {
    const builder = new ColumnsBuilder(undefined, 2);
    builder.device('a');
    builder.fix(1, 0, 0, 0, 0, 0, 0);
    builder.fix(2, 0, 0, 0, 0, 0, 0);
    expect(() => {
      builder.fix(3, 0, 0, 0, 0, 0, 0);
    }).toThrow(TooMany);
  });

  it('keeps every value through growing columns, and leaves out who is not wanted', () => {
    const builder = new ColumnsBuilder((id) => id !== 'other');
    builder.device('other');
    builder.fix(9, 9, 9, 9, 9, 9, 9);
    builder.device('a');
    for (let index = 0; index < 5_000; index += 1) builder.fix(index, index / 8, -index, 1, 0.5, 2, 64);
    const { times, xs, ys, zs, accuracies, floors, batteries, runs } = builder.finish();
    expect([...runs]).toEqual([['a', { from: 0, to: 5_000, hint: 0 }]]);
    expect([times[4_999], xs[4_999], ys[4_999], zs[4_999]]).toEqual([4_999, 4_999 / 8, -4_999, 1]);
    expect([accuracies[1_500], floors[1_500], batteries[1_500], times.length]).toEqual([0.5, 2, 64, 5_000]);
  });
});

describe('a moment of the past', () => {
  const walk = [0, 1_000, 2_000, 3_000, 20_000, 21_000].map((ms, index) => ({ id: 'a', time: ms, x: index, y: 0 }));
  const archive = new Archive();
  archive.add(chunk(0, 60_000, walk), 0);
  archive.add(chunk(60_000, 400_000, walk), 0);

  it.each([
    [0, 0, true],
    [250, 0.25, true],
    [1_000, 1, true],
    [2_999, 2.999, true],
    // Nobody knows what happened within a gap: it stays where it was, and is there again with its next fix.
    [3_000, 3, false],
    [19_999, 3, false],
    [20_000, 4, true],
    [21_500, 5, false],
    [60_001, 5, false],
  ])('at %i ms has the device at %f m', (time, x, isMoving) => {
    const moment = momentOf(archive, 'a', time);
    expect(moment?.x).toBeCloseTo(x, 9);
    expect(moment?.isMoving).toBe(isMoving);
  });

  it('fades with its age, and the device goes when it was not heard of for long', () => {
    const fadeAt = (ms: number): number | undefined => momentOf(archive, 'a', ms)?.fade;
    expect([fadeAt(3_100), fadeAt(3_000 + 3_001), fadeAt(21_000 + 30_001)]).toEqual([0, 1, 2]);
    expect(fadeAt(21_000 + goneAfter(1_000))).toBe(2);
    expect(fadeAt(21_000 + goneAfter(1_000) + 1)).toBeUndefined();
    expect(momentOf(archive, 'a', 399_000, true)?.fade).toBe(0);
  });

  it('is unknown where nothing is loaded, and without a device that never was', () => {
    expect(momentOf(archive, 'a', 400_000)).toBeUndefined();
    expect(momentOf(archive, 'b', 1_000)).toBeUndefined();
    expect(momentOf(archive, 'a', -1)).toBeUndefined();
  });

  it('does not lead through a ceiling', () => {
    const builder = new ColumnsBuilder();
    builder.device('a');
    builder.fix(0, 0, 0, 0, NaN, 1, NaN);
    builder.fix(1_000, 10, 0, 4, NaN, 2, NaN);
    const floors = new Archive();
    floors.add(new Chunk(0, 2_000, 0, builder.finish(), new Map()), 0);
    expect([momentOf(floors, 'a', 500)?.x, momentOf(floors, 'a', 1_000)?.x]).toEqual([0, 10]);
  });

  it('lies between thinned fixes, which are farther from each other', () => {
    const thinned = new Archive();
    const fixes = [0, 10_000].map((time) => ({ id: 'a', time, x: time / 1_000, y: 0 }));
    thinned.add(chunk(0, 20_000, fixes, 5_000), 0);
    expect(momentOf(thinned, 'a', 5_000)?.x).toBe(5);
    const dense = new Archive();
    dense.add(chunk(0, 20_000, fixes), 0);
    expect(momentOf(dense, 'a', 5_000)?.x).toBe(0);
  });

  it('is the same however the time was cut into chunks, and in whatever order it is asked for', () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const random = numbers(seed);
      const fixes: Plain[] = [];
      for (const id of ['a', 'b', 'c']) {
        let time = 0;
        while (time < 100_000) {
          time += random() < 0.1 ? 20_000 * random() : 2_500 * random();
          fixes.push({ id, time: Math.round(time * 1_000) / 1_000, x: random() * 50, y: random() * 20 });
        }
      }
      const whole = new Archive();
      whole.add(chunk(0, 100_000, fixes), 0);
      const cut = new Archive();
      for (let start = 0; start < 100_000;) {
        const end = Math.min(100_000, start + 1_000 + Math.round(random() * 30_000));
        cut.add(chunk(start, end, fixes), 0);
        start = end;
      }
      for (let asked = 0; asked < 80; asked += 1) {
        const time = random() * 100_000;
        for (const id of ['a', 'b', 'c']) {
          const [one, other] = [momentOf(whole, id, time), momentOf(cut, id, time)];
          const place = one === undefined ? undefined : [one.x, one.y, one.fix.time, one.isMoving];
          expect(other === undefined ? undefined : [other.x, other.y, other.fix.time, other.isMoving]).toEqual(place);
          // And as somebody would find it who looks through all of them.
          const mine = fixes.filter((fix) => fix.id === id);
          const last = mine.filter((fix) => fix.time <= time).at(-1);
          const next = mine.find((fix) => fix.time > time && fix.time < 100_000);
          if (last === undefined) expect(one).toBeUndefined();
          else if (next === undefined || next.time - last.time > GAP_MS) expect(one?.x).toBe(last.x);
          else
            expect(one?.x).toBeCloseTo(last.x + ((next.x - last.x) * (time - last.time)) / (next.time - last.time), 9);
        }
      }
      const [from, to] = [random() * 50_000, 50_000 + random() * 40_000];
      const found: number[] = [];
      eachFix(cut, 'b', from, to, (time) => found.push(time));
      expect(found).toEqual(
        fixes.filter((it) => it.id === 'b' && it.time > from && it.time <= to).map((it) => it.time),
      );
    }
  });
});

describe('steps from fix to fix', () => {
  const range: Range = { start: 0, end: 30_000 };
  const fixes: Plain[] = [
    { id: 'a', time: 1_000, x: 0, y: 0 },
    { id: 'b', time: 1_500.001, x: 0, y: 0 },
    { id: 'a', time: 12_000, x: 0, y: 0 },
  ];
  const archive = new Archive();
  archive.add(chunk(0, 10_000, fixes), 0);
  archive.add(chunk(10_000, 20_000, fixes), 0);

  it.each([
    [0, 1, undefined, { to: 1_000 }],
    [1_000, 1, undefined, { to: 1_500.001 }],
    [1_000, 1, ['a'], { to: 12_000 }],
    [12_000, 1, undefined, { unknown: 20_000 }],
    [12_000, -1, undefined, { to: 1_500.001 }],
    [12_000, -1, ['a'], { to: 1_000 }],
    [1_500.001, -1, undefined, { to: 1_000 }],
    [1_000, -1, undefined, undefined],
    [25_000, -1, undefined, { unknown: 24_999.999 }],
  ] as const)('from %f in direction %i of %j lead to %j', (time, direction, ids, to) => {
    expect(stepFrom(archive, time, direction, range, ids)).toEqual(to);
  });

  it('end with the range, and go on from where somebody knows that there may be more', () => {
    expect(stepFrom(archive, 12_000, 1, { start: 0, end: 19_000 })).toBeUndefined();
    expect(stepFrom(archive, 12_000, -1, { start: 1_600, end: 19_000 })).toBeUndefined();
    expect(stepFrom(archive, 25_000, -1, range, undefined, 19_000)).toEqual({ to: 12_000 });
  });

  it('visit every fix once, there and back', () => {
    const random = numbers(7);
    const many = Array.from({ length: 300 }, (_, index) => ({
      id: `tag-${String(index % 7)}`,
      time: Math.floor(random() * 29_000),
      x: 0,
      y: 0,
    }));
    const all = new Archive();
    for (const start of [0, 7_000, 7_500, 20_000]) {
      const end = [7_000, 7_500, 20_000, 30_001].find((one) => one > start) ?? 0;
      all.add(chunk(start, end, many), 0);
    }
    const times = [...new Set(many.map(({ time }) => time))].filter((time) => time > 0).sort((a, b) => a - b);
    const walked = (from: number, direction: 1 | -1): number[] => {
      const found: number[] = [];
      for (let at = from; ;) {
        const step = stepFrom(all, at, direction, range);
        if (step === undefined || !('to' in step)) return found;
        found.push((at = step.to));
      }
    };
    expect(walked(0, 1)).toEqual(times);
    expect(walked(30_000, -1)).toEqual(times.reverse());
  });
});

describe('the hand', () => {
  const range: Range = { start: 0, end: 10_000 };
  it.each([
    ['goes on', 1_000, 100, 1, false, Infinity, { instant: 1_100, waits: false, isOver: false, looped: false }],
    ['goes slowly', 1_000, 100, 0.25, false, Infinity, { instant: 1_025, waits: false, isOver: false, looped: false }],
    ['goes fast', 1_000, 100, 60, false, Infinity, { instant: 7_000, waits: false, isOver: false, looped: false }],
    ['waits', 1_000, 100, 60, false, 5_000, { instant: 4_999.999, waits: true, isOver: false, looped: false }],
    [
      'still waits',
      4_999.9999,
      100,
      1,
      false,
      5_000,
      { instant: 4_999.9999, waits: true, isOver: false, looped: false },
    ],
    ['stays at the end', 9_990, 100, 1, false, 10_001, { instant: 10_000, waits: false, isOver: true, looped: false }],
    ['begins again', 9_990, 100, 1, true, 10_001, { instant: 0, waits: false, isOver: false, looped: true }],
  ] as const)('%s', (_what, instant, elapsed, speed, isLooping, knownUntil, expectation) => {
    expect(advance(instant, elapsed, { speed, range, isLooping, knownUntil })).toEqual(expectation);
  });

  it('never leaves the range, and never runs ahead of what is known', () => {
    const random = numbers(3);
    for (let round = 0; round < 2_000; round += 1) {
      const instant = random() * 10_000;
      const knownUntil = instant + random() * 12_000;
      const isLooping = random() < 0.5;
      const hand = advance(instant, random() * 250, { speed: random() * 60, range, isLooping, knownUntil });
      expect(hand.instant).toBeGreaterThanOrEqual(hand.looped ? 0 : instant);
      expect(hand.instant).toBeLessThanOrEqual(10_000);
      if (!hand.looped) expect(hand.instant).toBeLessThanOrEqual(Math.max(instant, knownUntil));
    }
  });
});

describe('the archive', () => {
  it('knows what is loaded without a gap', () => {
    const archive = new Archive();
    for (const [start, end] of [
      [20, 30],
      [0, 10],
      [10, 20],
      [50, 60],
    ] as const)
      archive.add(chunk(start, end, []), 0);
    expect([0, 5, 29.9, 30, 40, 55].map((time) => archive.knownUntil(time))).toEqual([30, 30, 30, 30, 40, 60]);
    expect([0, 25, 30, 40, 55].map((time) => archive.knownSince(time))).toEqual([0, 0, 0, 40, 50]);
    expect(archive.at(30)).toBeUndefined();
    expect([archive.next(30)?.start, archive.previous(40)?.end]).toEqual([50, 30]);
    expect(() => {
      archive.add(chunk(25, 35, []), 0);
    }).toThrow(RangeError);
  });

  it('stays within its bound, and keeps what is around the hand', () => {
    const archive = new Archive(250);
    const of = (start: number): Chunk =>
      chunk(
        start,
        start + 100,
        Array.from({ length: 100 }, (_, index) => ({ id: 'a', time: start + index, x: 0, y: 0 })),
      );
    for (const start of [0, 100, 200]) archive.add(of(start), 250);
    expect(archive.chunks.map(({ start }) => start)).toEqual([100, 200]);
    archive.add(of(300), 250);
    expect(archive.chunks.map(({ start }) => start)).toEqual([200, 300]);
    expect(archive.fixes).toBe(200);
    // A stretch that is larger than the bound is kept as long as somebody looks at it.
    const one = new Archive(50);
    one.add(of(0), 50);
    expect(one.fixes).toBe(100);
  });

  it('hands the newest fixes of one chunk to the next', () => {
    const first = chunk(0, 1_000, [
      { id: 'a', time: -500, x: 1, y: 1 },
      { id: 'b', time: 100, x: 2, y: 2 },
      { id: 'b', time: 350, x: 3, y: 3 },
    ]);
    const end = first.atEnd();
    expect([end.get('a')?.time, end.get('b')?.time, end.get('b')?.pauseMs]).toEqual([-500, 350, 250]);
  });
});

const density = (counts: readonly number[], devices = 10, length = 100_000): Density => ({
  start: 0,
  end: length,
  counts,
  isEstimate: false,
  devices,
});

describe('what is loaded', () => {
  const needs: Needs = {
    instant: 50_000,
    range: { start: 0, end: 100_000 },
    speed: 1,
    isLooping: false,
    everyMs: 0,
    share: 1,
    behindMs: 20_000,
  };
  const even = density(Array<number>(10).fill(100));

  it('begins a little before the hand, and goes on until there is enough', () => {
    const archive = new Archive();
    expect(nextPiece(archive, even, needs)).toEqual({ start: 30_000, end: 100_001, isUrgent: true });
    archive.add(chunk(30_000, 55_000, []), 0);
    expect(nextPiece(archive, even, needs)).toEqual({ start: 55_000, end: 100_001, isUrgent: false });
    archive.add(chunk(55_000, 70_000, []), 0);
    expect(nextPiece(archive, even, needs)).toBeUndefined();
    expect(nextPiece(archive, even, { ...needs, speed: 4 })?.start).toBe(70_000);
    // Something is there farther on: it goes up to there.
    archive.add(chunk(80_000, 90_000, []), 0);
    expect(nextPiece(archive, even, { ...needs, speed: 4 })?.end).toBe(80_000);
    expect(nextPiece(archive, even, { ...needs, instant: 10_000 })).toEqual({
      start: -10_000,
      end: 30_000,
      isUrgent: true,
    });
  });

  it('is as long as about so many fixes take', () => {
    const busy = density(Array<number>(10).fill(60_000));
    expect(nextPiece(new Archive(), busy, { ...needs, instant: 0 })?.end).toBe(10_000);
    expect(nextPiece(new Archive(), busy, { ...needs, instant: 0, share: 0.5 })?.end).toBe(5_000);
    expect(endFor(busy, 15_000, 100_000, 60_000, 0)).toBeCloseTo(25_000);
    expect(endFor(density([0, 0, 0, 0, 0, 0, 0, 0, 0, 60_000]), 0, 100_000, 30_000, 0)).toBeCloseTo(95_000);
    expect(expected(busy, { start: 5_000, end: 15_000 }, 0)).toBe(60_000);
    expect(expected(busy, { start: 5_000, end: 15_000 }, 1_000)).toBe(100);
  });

  it('begins again at the beginning while it plays again and again', () => {
    const archive = new Archive();
    archive.add(chunk(90_000, 100_001, []), 0);
    expect(nextPiece(archive, even, { ...needs, instant: 95_000 })).toBeUndefined();
    const again = nextPiece(archive, even, { ...needs, instant: 95_000, isLooping: true });
    expect(again).toEqual({ start: -20_000, end: 90_000, isUrgent: false });
  });

  it('is everything as long as that is not too much, and then a part that is said', () => {
    const devices = 2_000;
    const second = density(Array<number>(100).fill(devices), devices);
    expect(busiest(second)).toBe(devices);
    expect([0.25, 1, 4, 8, 15, 30, 60].map((speed) => spacingFor(second, speed))).toEqual([
      0, 0, 0, 2_000, 2_000, 5_000, 10_000,
    ]);
    expect(spacingFor(density(Array<number>(100).fill(50), 50), 60)).toBe(0);
    // One odd part does not decide.
    const odd = Array<number>(100).fill(10);
    odd[3] = 90_000;
    expect(busiest(density(odd, 10))).toBeLessThan(20_000);
  });

  it('leaves out what surely has nothing', () => {
    const gaps = density([0, 5, 0, 0, 7]);
    expect([firstOf(gaps), skip(gaps, 45_000, 1), skip(gaps, 75_000, -1), skip(gaps, 30_000, -1)]).toEqual([
      20_000, 80_000, 40_000, 30_000,
    ]);
    expect([skip(gaps, 10_000, -1), firstOf(density([0, 0])), skip(density([1, 0]), 60_000, 1)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a range', () => {
  it('makes sense of any two moments', () => {
    expect(tidyRange(5_000, 1_000)).toEqual({ start: 1_000, end: 5_000 });
    expect(tidyRange(5_000, 5_000)).toEqual({ start: 4_500, end: 5_500 });
    expect(tidyRange(0, 900 * 86_400_000).end - tidyRange(0, 900 * 86_400_000).start).toBe(366 * 86_400_000);
  });

  it.each([
    [300_000, 150],
    [600_000, 120],
    [3_600_000, 240],
    [86_400_000, 144],
    [1_000, 20],
    [20 * 86_400_000, 240],
  ])('of %i ms is counted in %i parts', (length, parts) => {
    expect(partsOf({ start: T0, end: T0 + length })).toBe(parts);
  });

  it('is typed in local time, and read as it was written', () => {
    for (const time of [T0, T0 + 86_399_000, Date.UTC(2026, 6, 1)])
      expect(fromLocalField(toLocalField(time))).toBe(time);
    expect([fromLocalField(''), fromLocalField('soon')]).toEqual([undefined, undefined]);
  });

  it.each([
    [10_000, 2_000],
    [300_000, 60_000],
    [3_600_000, 600_000],
    [86_400_000, 10_800_000],
  ])('of %i ms has marks every %i ms, at full times', (length, stepMs) => {
    const found = marks({ start: T0 + 123, end: T0 + 123 + length }, 8);
    expect(found.stepMs).toBe(stepMs);
    expect(found.times.length).toBeLessThanOrEqual(9);
    expect(found.times.length).toBeGreaterThanOrEqual(4);
    expect(found.times.every((time) => time % Math.min(stepMs, 3_600_000) === 0)).toBe(true);
  });
});

describe('the address of the past', () => {
  const past: PastAddress = {
    range: { start: T0, end: T0 + 300_000 },
    instant: T0 + 1_250,
    speed: 4,
    isLooping: true,
    devices: ['tag-1', 'cart, "7"'],
  };

  it('shows another person the same', () => {
    const text = writePast('page=history&device=tag-1', past);
    expect(text).toBe(
      'page=history&device=tag-1&from=2026-03-01T12:00:00Z&to=2026-03-01T12:05:00Z&t=2026-03-01T12:00:01.250Z' +
        '&speed=4&loop=1&of=tag-1&of=cart,+%227%22',
    );
    expect(readPast(`#${text}`)).toEqual(past);
    expect(writePast(text, null)).toBe('page=history&device=tag-1');
  });

  it.each([
    ['', { range: null, instant: null, speed: 1 }],
    ['from=2026-03-01T12:00:00Z', { range: null }],
    ['from=2026-03-01T12:00:00Z&to=2026-03-01T11:00:00Z', { range: null }],
    ['from=yesterday&to=2026-03-01T11:00:00Z', { range: null }],
    ['from=2026-03-01T12:00:00Z&to=2026-03-01T12:05:00Z&t=2026-03-01T13:00:00Z', { instant: null }],
    ['from=0001-03-01T12:00:00Z&to=2026-03-01T12:05:00Z', { range: null }],
    ['speed=7', { speed: 1 }],
    ['speed=0.25', { speed: 0.25 }],
    ['of=', { devices: null }],
    [`of=${'x'.repeat(300)}`, { devices: null }],
  ])('that says %s is read as far as it makes sense', (text, expectation) => {
    expect(readPast(text)).toMatchObject(expectation);
  });

  it('does not grow without an end', () => {
    const many = Array.from({ length: 400 }, (_, index) => `tag-${String(index)}`);
    expect(writePast('', { ...past, devices: many })).not.toContain('of=');
    expect(readPast(many.map((id) => `of=${id}`).join('&')).devices).toHaveLength(100);
  });
});

describe('the devices of the past', () => {
  const fixes = Array.from({ length: 120 }, (_, index) => ({ id: 'a', time: index * 1_000, x: index, y: 0 }));
  const world = (): PastWorld => {
    const archive = new Archive();
    archive.add(chunk(0, 50_000, [...fixes, { id: 'wall', time: -9e8, x: 5, y: 5 }]), 0);
    archive.add(chunk(50_000, 400_000, [...fixes, { id: 'wall', time: -9e8, x: 5, y: 5 }]), 0);
    const past = new PastWorld(archive, (id) =>
      id === 'wall' ? { kind: 'anchor', name: 'Wall' } : id === 'a' ? { kind: 'tag', name: 'Ada' } : undefined,
    );
    past.trailMs = 10_000;
    return past;
  };
  const points = (past: PastWorld): number[] => {
    const found: number[] = [];
    past.tracks.get('a')?.trail.each((time) => found.push(time));
    return found;
  };

  it('are called as they are now, and stand where they were', () => {
    const past = world();
    expect(past.show(30_500)).toBe(true);
    expect(past.tracks.get('a')).toMatchObject({ label: 'Ada', kind: 'tag', x: 30.5, shownX: 30.5, fade: 0 });
    expect(past.tracks.get('wall')).toMatchObject({ label: 'Wall', kind: 'anchor', x: 5, fade: 0 });
  });

  it('have the same trail whether it was played or gone to', () => {
    const played = world();
    played.trailSpacing = 80;
    for (let time = 30_000; time <= 60_000; time += 100) played.show(time);
    const sought = world();
    sought.show(60_000);
    const full = (past: PastWorld): number[] => points(past).filter((time) => time % 1_000 === 0 && time > 50_000);
    expect(full(played)).toEqual([60_000, 59_000, 58_000, 57_000, 56_000, 55_000, 54_000, 53_000, 52_000, 51_000]);
    expect(full(sought)).toEqual(full(played));
  });

  it('have a trail that ends at the hand after a step back', () => {
    const past = world();
    past.show(90_000);
    past.show(60_500);
    expect(points(past)[0]).toBe(60_500);
    expect(points(past).every((time) => time <= 60_500)).toBe(true);
  });

  it('go when they were not heard of for long, and all of them where nothing is known', () => {
    const past = world();
    past.show(119_000 + goneAfter(1_000));
    expect([...past.tracks.keys()]).toEqual(['a', 'wall']);
    past.show(119_001 + goneAfter(1_000));
    expect([...past.tracks.keys()]).toEqual(['wall']);
    expect(past.show(500_000)).toBe(false);
    expect(past.tracks.size).toBe(0);
  });
});
