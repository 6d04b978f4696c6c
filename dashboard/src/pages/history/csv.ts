/** Reads the server's export of fixes (CSV, RFC 4180) as it comes, without an object for each line. */

/** Takes the fixes, device by device, each device's oldest first. What a fix does not tell is `NaN`. */
export interface FixSink {
  device(id: string): void;
  fix(time: number, x: number, y: number, z: number, accuracy: number, floor: number, battery: number): void;
}

const COLUMNS = ['device_id', 'timestamp', 'x_m', 'y_m', 'z_m', 'accuracy_m', 'floor', 'battery_percent'] as const;
type Column = (typeof COLUMNS)[number];

/** What came is no export as this page knows it. */
export class NotAnExport extends Error {
  override readonly name = 'NotAnExport';
}

export class FixReader {
  readonly #sink: FixSink;
  readonly #text = new TextDecoder();
  #rest = '';
  #columns: Readonly<Record<Column, number>> | undefined;
  #device: string | undefined;
  /** A time up to its minute, and what that is: most lines have the one of the line before. */
  #minute = '';
  #minuteMs = 0;

  constructor(sink: FixSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    this.#rest += this.#text.decode(bytes, { stream: true });
    let from = 0;
    for (;;) {
      const end = this.#lineEnd(from);
      if (end < 0) break;
      this.#line(this.#rest.slice(from, this.#rest.charAt(end - 1) === '\r' ? end - 1 : end));
      from = end + 1;
    }
    this.#rest = this.#rest.slice(from);
  }

  /** There are no more bytes; half a line is no export. */
  end(): void {
    if (this.#columns === undefined || this.#rest !== '') throw new NotAnExport('The export ended within a line.');
  }

  /** Where the line ends that begins there, or -1 while its end is not here: a quoted name may hold line breaks. */
  #lineEnd(from: number): number {
    let end = this.#rest.indexOf('\n', from);
    if (end < 0 || !this.#rest.slice(from, end).includes('"')) return end;
    while (end >= 0 && this.#rest.slice(from, end).split('"').length % 2 === 0) {
      end = this.#rest.indexOf('\n', end + 1);
    }
    return end;
  }

  #line(line: string): void {
    const fields = line.includes('"') ? unquoted(line) : line.split(',');
    const columns = this.#columns;
    if (columns === undefined) {
      this.#columns = columnsOf(fields);
      return;
    }
    const id = fields[columns.device_id] ?? '';
    const time = this.#time(fields[columns.timestamp] ?? '');
    const x = number(fields[columns.x_m]);
    const y = number(fields[columns.y_m]);
    if (id === '' || Number.isNaN(time + x + y)) throw new NotAnExport(`Not a line of an export: ${line}`);
    if (id !== this.#device) {
      this.#device = id;
      this.#sink.device(id);
    }
    const more = (column: Column): number => number(fields[columns[column]]);
    this.#sink.fix(time, x, y, more('z_m'), more('accuracy_m'), more('floor'), more('battery_percent'));
  }

  /** `YYYY-MM-DDTHH:MM:SS.ffffffZ` in milliseconds, with the microseconds as its fraction. */
  #time(text: string): number {
    const minute = text.slice(0, 16);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#minuteMs = Date.parse(`${minute}:00Z`);
    }
    if (text.charAt(16) !== ':' || !text.endsWith('Z')) return NaN;
    // Whole microseconds first: a product of a fraction would be off by some digits.
    return this.#minuteMs + Math.round(number(text.slice(17, -1)) * 1e6) / 1e3;
  }
}

const number = (text: string | undefined): number => (text === undefined || text === '' ? NaN : Number(text));

function columnsOf(header: readonly string[]): Readonly<Record<Column, number>> {
  const found = COLUMNS.map((name) => [name, header.indexOf(name)] as const);
  const missing = found.find(([, index]) => index < 0);
  if (missing !== undefined) throw new NotAnExport(`The export has no column ${missing[0]}.`);
  return Object.fromEntries(found) as Record<Column, number>;
}

function unquoted(line: string): string[] {
  const fields: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (character === '"') {
      if (isQuoted && line.charAt(index + 1) === '"') {
        field += '"';
        index += 1;
      } else isQuoted = !isQuoted;
    } else if (character === ',' && !isQuoted) {
      fields.push(field);
      field = '';
    } else field += character;
  }
  fields.push(field);
  return fields;
}
