import { describe, expect, it } from 'vitest';

import { Outbox } from '../src/socket/outbox';

const position = (device: string, x: number, more = {}): string =>
  JSON.stringify({ type: 'uwb.location', ...more, payload: { device_id: device, location: { x, y: 0, z: 0 } } });

function taken(...frames: unknown[]): { frames: unknown[]; replaced: number } {
  const outbox = new Outbox();
  for (const frame of frames) outbox.push(frame);
  return outbox.take();
}

describe('the outbox', () => {
  it('keeps the newest position of each device', () => {
    const frames = [position('a', 1), position('b', 1), position('a', 2), position('a', 3)];
    expect(taken(...frames)).toEqual({ frames: [frames[1], frames[3]], replaced: 2 });
  });

  it('keeps everything else, in order', () => {
    const status = '{"type":"device.status","payload":{"device_id":"a","status":"stale"}}';
    const frames = [status, 'not json', position('a', 1), status, new ArrayBuffer(2)];
    expect(taken(...frames)).toEqual({ frames, replaced: 0 });
  });

  it('keeps answers and numbered messages', () => {
    const frames = [position('a', 1, { id: '7' }), position('a', 2, { room: 'uwb', seq: 4 }), position('a', 3)];
    expect(taken(...frames).frames).toEqual(frames);
  });

  it('tells devices apart whose ids look alike', () => {
    const frames = [position('a"b', 1), position('a', 1), position('a\\', 1)];
    expect(taken(...frames)).toEqual({ frames, replaced: 0 });
  });

  it('begins anew after it was emptied', () => {
    const outbox = new Outbox();
    outbox.push(position('a', 1));
    outbox.push(position('a', 2));
    expect(outbox.size).toBe(1);
    outbox.take();
    expect(outbox.size).toBe(0);
    outbox.push(position('a', 3));
    expect(outbox.take()).toEqual({ frames: [position('a', 3)], replaced: 0 });
  });
});
