/** A module that this runtime does not run; the message says why, for the pod's status. */
export class ModuleRefused extends Error {
  override readonly name = "ModuleRefused";
}

export const HEADER_BYTES = 8;
export const SECTION = {
  type: 1,
  import: 2,
  function: 3,
  memory: 5,
  global: 6,
  export: 7,
  code: 10,
} as const;

export interface Section {
  readonly id: number;
  /** Where its id stands. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** The sections of a module whose header was checked. */
export function sectionsOf(bytes: Uint8Array): Section[] {
  const sections: Section[] = [];
  const reader = new Reader(bytes, HEADER_BYTES, bytes.length);
  while (!reader.done) {
    const start = reader.position;
    const id = reader.byte();
    const length = reader.leb();
    const body = reader.position;
    reader.skip(length);
    sections.push({ id, start, body, end: reader.position });
  }
  return sections;
}

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

const MAX_LEB_BYTES = 5;

/** Reads forward through a part of the module; running over its end refuses the module. */
export class Reader {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.position = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.position >= this.#end;
  }

  byte(): number {
    const value = this.#bytes[this.position];
    if (value === undefined || this.done) throw new ModuleRefused("the module is cut short");
    this.position++;
    return value;
  }

  leb(): number {
    let value = 0;
    for (let index = 0; index < MAX_LEB_BYTES; index++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if ((byte & 0x80) === 0) return value;
    }
    throw new ModuleRefused("the module has a number that is too long");
  }

  skip(length: number): void {
    this.position += length;
    if (this.position > this.#end) throw new ModuleRefused("the module is cut short");
  }
}
