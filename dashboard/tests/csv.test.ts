import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import { field, fileName, toCsv } from '../src/list/csv';

const device: Device = {
  id: 'tag-1',
  name: 'Anna, "the" boss',
  kind: 'tag',
  status: 'connected',
  last_seen: '2026-11-22T10:00:00.000000Z',
  location: { x: -1.5, y: 2, z: 0 },
  floor: -1,
  accuracy: 0.12,
  battery: 81.5,
  source: 'demo',
};

describe('the table of the devices', () => {
  it('has a head, a line for each, and CRLF after every line', () => {
    const zones = [
      {
        name: 'Office',
        polygon: [
          [-9, -9],
          [9, -9],
          [9, 9],
          [-9, 9],
        ] as const,
      },
    ];
    const text = toCsv([device, { ...device, id: 'b', name: 'B', location: null }], zones);
    expect(text.split('\r\n')).toEqual([
      'id,name,kind,status,last_seen,x_m,y_m,z_m,floor,zone,accuracy_m,battery_percent,source',
      'tag-1,"Anna, ""the"" boss",tag,connected,2026-11-22T10:00:00.000000Z,-1.5,2,0,-1,Office,0.12,81.5,demo',
      'b,B,tag,connected,2026-11-22T10:00:00.000000Z,,,,-1,,0.12,81.5,demo',
      '',
    ]);
  });

  it('quotes what would break a line, and only that', () => {
    expect(field('a\nb')).toBe('"a\nb"');
    expect(field('a\rb')).toBe('"a\rb"');
    expect(field('"')).toBe('""""');
    expect(field('plain; text')).toBe('plain; text');
    expect([field(undefined), field(null), field(NaN), field('')]).toEqual(['', '', '', '']);
  });

  it('lets no name become a formula, and no number a text', () => {
    for (const name of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '|cmd']) {
      expect(field(name).replace(/^"/, '')[0]).toBe("'");
    }
    expect(field('=HYPERLINK("http://x","y")')).toBe(`"'=HYPERLINK(""http://x"",""y"")"`);
    expect(field(-1.5)).toBe('-1.5');
    expect(field('tag-1')).toBe('tag-1');
  });

  it('has a name that every system takes', () => {
    expect(fileName(Date.UTC(2026, 10, 22, 7, 5, 9))).toBe('devices-2026-11-22T07-05-09Z.csv');
  });
});
