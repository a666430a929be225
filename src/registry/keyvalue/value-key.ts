import { badRequest, requestEntityTooLarge } from "../../apimachinery/index.ts";
import type { KeyValue } from "../../store/index.ts";

/** Every value lives below this prefix; it is none of the objects'. */
export const KEYVALUE_ROOT = "/keyvalue/";
/** Of a key as UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** Of one value: the log takes half a MiB more. */
export const MAX_VALUE_BYTES = 1024 * 1024;
/** The name of a store: a DNS label, so that it can be written into an annotation and a path. */
const STORE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const HEAD_BYTES = 8;
const FORMAT = 1;
const NUL = "\0";

/** Which store: of a namespace, by name. */
export interface StoreAddress {
  readonly namespace: string;
  readonly store: string;
}

/** Throws 400 for what cannot be the name of a store. */
export function assertStoreName(name: string): void {
  if (STORE_NAME.test(name)) return;
  throw badRequest(
    `${JSON.stringify(name)} is no name of a store: lower case letters, digits and -, at most 63`,
  );
}

/** Throws 400 for what cannot be a key: empty, too long, or no text that can be written down. */
export function assertKey(key: string): void {
  if (key === "") throw badRequest("a key has at least one character");
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) {
    throw badRequest(`the key has ${bytes} bytes, at most ${MAX_KEY_BYTES} are allowed`);
  }
  if (!key.isWellFormed() || key.includes(NUL)) {
    throw badRequest("a key is well-formed Unicode text without NUL characters");
  }
}

/** Throws 413 for a value above {@link MAX_VALUE_BYTES}. */
export function assertValue(value: Uint8Array): void {
  if (value.length <= MAX_VALUE_BYTES) return;
  throw requestEntityTooLarge(
    `the value has ${value.length} bytes, at most ${MAX_VALUE_BYTES} are allowed`,
  );
}

/** What all values of a namespace share, or of all namespaces for "". */
export function namespaceValues(namespace: string): string {
  return namespace === "" ? KEYVALUE_ROOT : `${KEYVALUE_ROOT}${namespace}/`;
}

/** `/keyvalue/default/counters/`: names of namespaces and stores have no slash, keys may. */
export function storeValues({ namespace, store }: StoreAddress): string {
  return `${KEYVALUE_ROOT}${namespace}/${store}/`;
}

/** Takes a key of the replicated store apart. */
export function partsOf(stored: string): StoreAddress & { readonly key: string } {
  const namespaceEnd = stored.indexOf("/", KEYVALUE_ROOT.length);
  const storeEnd = stored.indexOf("/", namespaceEnd + 1);
  return {
    namespace: stored.slice(KEYVALUE_ROOT.length, namespaceEnd),
    store: stored.slice(namespaceEnd + 1, storeEnd),
    key: stored.slice(storeEnd + 1),
  };
}

/**
 * The bytes that are stored: the format's number, a zero, when the key was created (milliseconds
 * since the Unix epoch, 6 bytes), then the value. The leader decides the time.
 */
export function encodeValue(value: Uint8Array, createdMs: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + value.length);
  bytes.writeUInt16BE(FORMAT << 8, 0);
  bytes.writeUIntBE(createdMs, 2, HEAD_BYTES - 2);
  bytes.set(value, HEAD_BYTES);
  return bytes;
}

/** The value alone; shares its memory with what is stored and must not be changed. */
export function valueOf({ value }: KeyValue): Uint8Array {
  return value.subarray(HEAD_BYTES);
}

export function createdMsOf({ value }: KeyValue): number {
  let ms = 0;
  // A view of its own for each of many values would cost more than this.
  for (let at = 2; at < HEAD_BYTES; at++) ms = ms * 256 + (value[at] ?? 0);
  return ms;
}

/** What a key and its value count against a quota. */
export function chargedBytes(key: string, valueBytes: number): number {
  return Buffer.byteLength(key) + valueBytes;
}

/** What a stored value counts against a quota; `prefix` is what its key begins with. */
export function chargeOf(kv: KeyValue, prefix: string): number {
  // Names of namespaces and stores are ASCII: as many bytes as characters.
  return Buffer.byteLength(kv.key) - prefix.length + kv.value.length - HEAD_BYTES;
}
