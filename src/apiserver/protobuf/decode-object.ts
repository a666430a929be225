import {
  isJsonObject,
  type JsonObject,
  type ObjectSchema,
  rfc3339,
  rfc3339Micro,
  type Schema,
  setField,
} from "../../apimachinery/index.ts";
import fieldNumbers from "./field-numbers.json";
import { readFields, WireError, type WireValue } from "./wire-reader.ts";

/**
 * What a field number stands for. A name may end in `*`: the field distinguishes zero from absent
 * (it is a pointer in Go), or in `!`: JSON shows its zero. Of all other fields the zero that the
 * wire always carries is left out, as it is in JSON. A table stands for a part of the message that
 * JSON has in the object itself: a volume's source.
 */
type Numbers = { readonly [number: string]: string | Numbers };

const TABLE = fieldNumbers as unknown as Readonly<Record<string, Numbers>>;

/** Deeper than any kind nests. */
const MAX_DEPTH = 64;

/** Decodes a message of a kind into the object that its JSON would be. Throws WireError. */
export function decodeObject(schema: Schema, bytes: Uint8Array): JsonObject {
  const value = decodeMessage(schema, bytes, 0);
  if (!isJsonObject(value)) throw new WireError("the message is no object");
  return value;
}

function decodeMessage(schema: Schema, bytes: Uint8Array, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new WireError("the message is nested too deep");
  switch (schema.kind) {
    case "object": {
      const numbers = TABLE[schema.typeName];
      if (numbers === undefined) throw new WireError(`${schema.typeName} has no wire format here`);
      const object: JsonObject = {};
      fill(object, schema, numbers, bytes, depth);
      return object;
    }
    case "quantity":
      return textOf(fieldOf(bytes, 1));
    case "time":
      return timeText(bytes, (ms) => rfc3339(ms));
    case "micro-time":
      return timeText(bytes, (ms) => rfc3339Micro(ms));
    case "int-or-string": {
      const isText = numberOf(fieldOf(bytes, 1)) === 1;
      return isText ? textOf(fieldOf(bytes, 3)) : numberOf(fieldOf(bytes, 2));
    }
    case "any": {
      const raw = textOf(fieldOf(bytes, 1));
      return raw === "" ? null : (JSON.parse(raw) as unknown);
    }
    case "string":
    case "byte":
    case "boolean":
    case "int32":
    case "int64":
    case "number":
    case "list":
    case "map":
      throw new WireError(`a ${schema.kind} is no message`);
  }
}

function fill(
  object: JsonObject,
  schema: ObjectSchema,
  numbers: Numbers,
  bytes: Uint8Array,
  depth: number,
): void {
  for (const { number, value } of readFields(bytes)) {
    const meaning = numbers[number];
    // A field of a newer client: dropped, as an unknown JSON field is.
    if (meaning === undefined) continue;
    if (typeof meaning !== "string") {
      fill(object, schema, meaning, bytesOf(value), depth + 1);
      continue;
    }
    const name = meaning.replace(/[*!]+$/, "");
    const field = schema.fields.get(name)?.schema;
    if (field !== undefined) put(object, { name, meaning, schema: field }, value, depth);
  }
}

interface Field {
  readonly name: string;
  readonly meaning: string;
  readonly schema: Schema;
}

function put(object: JsonObject, field: Field, value: WireValue, depth: number): void {
  const { name, schema } = field;
  if (schema.kind === "list") {
    const list = (object[name] ??= []) as unknown[];
    list.push(decodeValue(schema.items, value, depth));
    return;
  }
  if (schema.kind === "map") {
    const map = (object[name] ??= {}) as JsonObject;
    const entry = bytesOf(value);
    const item = fieldOf(entry, 2) ?? EMPTY;
    setField(map, textOf(fieldOf(entry, 1)), decodeValue(schema.values, item, depth));
    return;
  }
  const decoded = decodeValue(schema, value, depth);
  if (field.meaning === name && isZero(decoded)) return;
  if (decoded !== null) object[name] = decoded;
}

function decodeValue(schema: Schema, value: WireValue, depth: number): unknown {
  switch (schema.kind) {
    case "string":
      return textOf(value);
    case "byte":
      return Buffer.from(bytesOf(value)).toString("base64");
    case "boolean":
      return numberOf(value) !== 0;
    case "int32":
    case "int64":
      return numberOf(value);
    case "number": {
      const bytes = bytesOf(value);
      if (bytes.length !== 8) throw new WireError("a floating point number has 8 bytes");
      return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
    }
    case "object":
    case "quantity":
    case "time":
    case "micro-time":
    case "int-or-string":
    case "any":
    case "list":
    case "map":
      return decodeMessage(schema, bytesOf(value), depth + 1);
  }
}

const EMPTY: WireValue = { type: "bytes", value: new Uint8Array() };
const decoder = new TextDecoder();

/** The last field of that number, which is the one that counts. */
export function fieldOf(bytes: Uint8Array, number: number): WireValue | undefined {
  let found: WireValue | undefined;
  for (const field of readFields(bytes)) if (field.number === number) found = field.value;
  return found;
}

export function bytesOf(value: WireValue | undefined): Uint8Array {
  if (value === undefined) return new Uint8Array();
  if (value.type !== "bytes") throw new WireError("a number stands where a message is expected");
  return value.value;
}

export function textOf(value: WireValue | undefined): string {
  return decoder.decode(bytesOf(value));
}

function numberOf(value: WireValue | undefined): number {
  if (value === undefined) return 0;
  if (value.type !== "varint") throw new WireError("a message stands where a number is expected");
  return Number(BigInt.asIntN(64, value.value));
}

/** {seconds: 1, nanos: 2}; the zero time is an empty message. */
function timeText(bytes: Uint8Array, write: (ms: number) => string): string | null {
  if (bytes.length === 0) return null;
  const seconds = numberOf(fieldOf(bytes, 1));
  return write(seconds * 1000 + numberOf(fieldOf(bytes, 2)) / 1e6);
}

function isZero(value: unknown): boolean {
  return value === "" || value === 0 || value === false || value === null;
}
