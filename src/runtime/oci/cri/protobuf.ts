/**
 * Protocol Buffers (proto3) as far as the CRI needs them: a message is a table of its fields, from
 * which both the codec and the TypeScript types follow. Fields that are not in the table are
 * skipped when read, so that newer servers may say more.
 *
 *     const Mount = message({ path: string(1), readOnly: bool(3), labels: map(9) });
 *     encode(Mount, { path: "/data" });       // fields left out have their default
 *     decode(Mount, bytes).readOnly;          // false, as nobody wrote it
 */
export interface MessageType<F extends Fields = Fields> {
  readonly fields: F;
  readonly byNumber: ReadonlyMap<number, readonly [name: string, field: Field]>;
}

export type Fields = Readonly<Record<string, Field>>;

type Scalar = "string" | "bytes" | "bool" | "integer";

export type Field =
  | { readonly kind: Scalar; readonly number: number }
  | { readonly kind: "strings" | "integers" | "map"; readonly number: number }
  | { readonly kind: "one" | "many"; readonly number: number; readonly type: MessageType };

interface Typed<K extends Field["kind"], M extends MessageType = MessageType> {
  readonly kind: K;
  readonly number: number;
  readonly type: M;
}

interface ValuesOfKind {
  readonly string: string;
  readonly bytes: Uint8Array;
  readonly bool: boolean;
  readonly integer: number;
  readonly strings: readonly string[];
  readonly integers: readonly number[];
  readonly map: Readonly<Record<string, string>>;
}

type Given<F> =
  F extends Typed<"one", infer M>
    ? Encodable<M>
    : F extends Typed<"many", infer M>
      ? readonly Encodable<M>[]
      : F extends { readonly kind: infer K extends keyof ValuesOfKind }
        ? ValuesOfKind[K]
        : never;

type Read<F> =
  F extends Typed<"one", infer M>
    ? Decoded<M> | undefined
    : F extends Typed<"many", infer M>
      ? readonly Decoded<M>[]
      : F extends { readonly kind: infer K extends keyof ValuesOfKind }
        ? ValuesOfKind[K]
        : never;

/** What may be written: every field can be left out. */
export type Encodable<M extends MessageType> = {
  readonly [K in keyof M["fields"]]?: Given<M["fields"][K]> | undefined;
};

/** What was read: only messages within messages can be absent. */
export type Decoded<M extends MessageType> = {
  readonly [K in keyof M["fields"]]: Read<M["fields"][K]>;
};

export function message<const F extends Fields>(fields: F): MessageType<F> {
  const byNumber = new Map(
    Object.entries(fields).map(([name, field]) => [field.number, [name, field]] as const),
  );
  return { fields, byNumber };
}

export const string = (number: number) => ({ kind: "string", number }) as const;
export const bytes = (number: number) => ({ kind: "bytes", number }) as const;
export const bool = (number: number) => ({ kind: "bool", number }) as const;
/** Any of int32, int64, uint32, uint64 and enumerations; exact to 2^53. */
export const integer = (number: number) => ({ kind: "integer", number }) as const;
export const strings = (number: number) => ({ kind: "strings", number }) as const;
export const integers = (number: number) => ({ kind: "integers", number }) as const;
/** `map<string, string>` */
export const map = (number: number) => ({ kind: "map", number }) as const;
export const one = <M extends MessageType>(number: number, type: M): Typed<"one", M> => ({
  kind: "one",
  number,
  type,
});
export const many = <M extends MessageType>(number: number, type: M): Typed<"many", M> => ({
  kind: "many",
  number,
  type,
});

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
/** Seven bits more than this factor gives would not be exact as a double. */
const MAX_EXACT_FACTOR = 2 ** 42;

/** The bytes of a message. */
export function encode<M extends MessageType>(type: M, value: Encodable<M>): Buffer {
  const out: Uint8Array[] = [];
  for (const [name, field] of Object.entries(type.fields)) {
    const given: unknown = value[name];
    if (given !== undefined) writeField(out, field, given);
  }
  return Buffer.concat(out);
}

function writeField(out: Uint8Array[], field: Field, given: unknown): void {
  switch (field.kind) {
    case "string":
      if (given !== "") delimited(out, field.number, Buffer.from(String(given)));
      return;
    case "bytes":
      if (given instanceof Uint8Array && given.length > 0) delimited(out, field.number, given);
      return;
    case "bool":
      if (given === true) out.push(varint(field.number * 8 + VARINT), varint(1));
      return;
    case "integer":
      if (given !== 0) out.push(varint(field.number * 8 + VARINT), varint(Number(given)));
      return;
    case "strings":
      for (const text of each(given)) delimited(out, field.number, Buffer.from(String(text)));
      return;
    case "integers":
      delimited(out, field.number, Buffer.concat(each(given).map((item) => varint(Number(item)))));
      return;
    case "map":
      for (const [key, value] of Object.entries(Object(given))) {
        delimited(out, field.number, encode(Entry, { key, value: String(value) }));
      }
      return;
    case "one":
      delimited(out, field.number, encode(field.type, Object(given)));
      return;
    case "many":
      for (const item of each(given))
        delimited(out, field.number, encode(field.type, Object(item)));
  }
}

const Entry = message({ key: string(1), value: string(2) });

function each(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function delimited(out: Uint8Array[], number: number, content: Uint8Array): void {
  out.push(varint(number * 8 + DELIMITED), varint(content.length), content);
}

/** Negative numbers take ten bytes, as 64 bits in two's complement. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}

/** Reads a message. Throws RangeError when the bytes are none. */
export function decode<M extends MessageType>(type: M, data: Uint8Array): Decoded<M> {
  const reader = new Reader(data);
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(type.fields)) values[name] = defaultOf(field);
  while (!reader.atEnd) {
    const key = reader.varint();
    const known = type.byNumber.get(Math.floor(key / 8));
    if (known === undefined) reader.skip(key % 8);
    else readField(values, known[0], known[1], reader, key % 8);
  }
  // The loop above gave every field of the table a value of its kind.
  return values as Decoded<M>;
}

function defaultOf(field: Field): unknown {
  switch (field.kind) {
    case "string":
      return "";
    case "bytes":
      return new Uint8Array();
    case "bool":
      return false;
    case "integer":
      return 0;
    case "map":
      return {};
    case "one":
      return undefined;
    case "strings":
    case "integers":
    case "many":
      return [];
  }
}

function readField(
  values: Record<string, unknown>,
  name: string,
  field: Field,
  reader: Reader,
  wire: number,
): void {
  switch (field.kind) {
    case "bool":
      values[name] = reader.varint() !== 0;
      return;
    case "integer":
      values[name] = reader.varint();
      return;
    case "integers":
      values[name] = [...each(values[name]), ...reader.integers(wire)];
      return;
    case "string":
      values[name] = reader.text();
      return;
    case "bytes":
      values[name] = reader.delimited();
      return;
    case "strings":
      values[name] = [...each(values[name]), reader.text()];
      return;
    case "map": {
      const entry = decode(Entry, reader.delimited());
      values[name] = { ...Object(values[name]), [entry.key]: entry.value };
      return;
    }
    case "one":
      values[name] = decode(field.type, reader.delimited());
      return;
    case "many":
      values[name] = [...each(values[name]), decode(field.type, reader.delimited())];
  }
}

class Reader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  get atEnd(): boolean {
    return this.#at >= this.#data.length;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.#byte();
      if (factor > MAX_EXACT_FACTOR) return this.#longVarint(value, factor, byte);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  }

  integers(wire: number): number[] {
    if (wire !== DELIMITED) return [this.varint()];
    const packed = new Reader(this.delimited());
    const found: number[] = [];
    while (!packed.atEnd) found.push(packed.varint());
    return found;
  }

  delimited(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (end > this.#data.length) throw new RangeError("a field of the message is cut short");
    const content = this.#data.subarray(this.#at, end);
    this.#at = end;
    return content;
  }

  text(): string {
    return new TextDecoder().decode(this.delimited());
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === DELIMITED) this.delimited();
    else if (wire === FIXED64) this.#at += 8;
    else if (wire === FIXED32) this.#at += 4;
    else throw new RangeError(`wire type ${wire} is none of proto3`);
  }

  /** What does not fit in a double's integers: negative numbers, and counts of nanoseconds. */
  #longVarint(low: number, factor: number, first: number): number {
    let value = BigInt(low);
    let scale = BigInt(factor);
    let byte = first;
    for (let length = 0; ; length++) {
      value += BigInt(byte & 127) * scale;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
      if (length > 2) throw new RangeError("an integer of the message has no end");
      scale *= 128n;
      byte = this.#byte();
    }
  }

  #byte(): number {
    const byte = this.#data[this.#at++];
    if (byte === undefined) throw new RangeError("the message is cut short");
    return byte;
  }
}
