import type { HttpHeaders } from "../preview-two.ts";
import { GuestError, GuestTrap } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";

/** Fields of one collection. */
export const MAX_FIELDS = 1024;
/** Bytes of the names and values of one collection. */
export const MAX_FIELDS_BYTES = 128 * 1024;
/** What one field takes beyond its bytes, about: it counts as held for the instance. */
export const FIELD_OVERHEAD_BYTES = 64;

/** `header-error` of wasi:http/types. */
export type HeaderError = { readonly tag: "invalid-syntax" | "forbidden" | "immutable" };

type Field = readonly [name: string, value: Uint8Array];

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** They belong to the connection, which is the host's, and so does what the egress is told. */
const FORBIDDEN = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const FORBIDDEN_PREFIX = "x-kubun-";

/** Whether a guest must not set a field, and does not see it. `name` in any case. */
export function isForbiddenField(name: string): boolean {
  const lower = name.toLowerCase();
  return FORBIDDEN.has(lower) || lower.startsWith(FORBIDDEN_PREFIX);
}

/** A token of RFC 9110: names of fields, methods. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** What a guest is shown of a message's fields. */
export function visibleFields(headers: HttpHeaders): HttpHeaders {
  return headers.some(([name]) => isForbiddenField(name))
    ? headers.filter(([name]) => !isForbiddenField(name))
    : headers;
}

/** The resource `fields` of wasi:http/types: names keep their case and order. */
export class Fields extends Resource {
  #entries: Field[] | undefined;
  readonly #shared: HttpHeaders;
  readonly #immutable: boolean;
  #bytes = 0;
  #held = 0;

  /** Without arguments: empty and mutable, as the guest's constructor makes it. */
  constructor(
    scope: InstanceScope,
    from: HttpHeaders = [],
    options: { readonly immutable?: boolean; readonly parent?: Resource } = {},
  ) {
    super(scope, options.parent);
    this.#shared = from;
    this.#immutable = options.immutable ?? false;
  }

  /** `from-list`. Throws GuestError with a {@link HeaderError}. */
  static fromEntries(scope: InstanceScope, entries: readonly Field[]): Fields {
    const fields = new Fields(scope);
    try {
      for (const [name, value] of entries) fields.append(name, value);
    } catch (error) {
      fields.end();
      throw error;
    }
    return fields;
  }

  /** What is in it, for the host. */
  get list(): HttpHeaders {
    return this.#entries ?? this.#shared;
  }

  get(name: string): Uint8Array[] {
    const lower = name.toLowerCase();
    return this.list.filter((field) => isNamed(field, lower)).map(([, value]) => value);
  }

  has(name: string): boolean {
    const lower = name.toLowerCase();
    return this.list.some((field) => isNamed(field, lower));
  }

  set(name: string, values: readonly Uint8Array[]): void {
    const lower = this.#checkName(name);
    for (const value of values) checkValue(value);
    this.#replace([
      ...this.list.filter((field) => !isNamed(field, lower)),
      ...values.map((value) => [name, value] as const),
    ]);
  }

  delete(name: string): void {
    const lower = this.#checkName(name);
    this.#replace(this.list.filter((field) => !isNamed(field, lower)));
  }

  append(name: string, value: Uint8Array): void {
    this.#checkName(name);
    checkValue(value);
    const entries = this.#mutable();
    this.#charge(this.#bytes + sizeOf([name, value]), entries.length + 1);
    entries.push([name, value]);
  }

  entries(): Field[] {
    return [...this.list];
  }

  clone(): Fields {
    const clone = new Fields(this.scope, this.#shared);
    if (this.#entries !== undefined) clone.#replace([...this.#entries]);
    return clone;
  }

  protected override released(): void {
    this.scope.letGo(this.#held);
    this.#held = 0;
  }

  /**
   * Takes the fields out of it; the guest has it no more. Who keeps them for the guest has to
   * `hold` their {@link heldBytesOf}.
   */
  take(): HttpHeaders {
    this.surrender();
    this.released();
    return this.list;
  }

  #checkName(name: string): string {
    if (this.#immutable) throw new GuestError<HeaderError>({ tag: "immutable" });
    if (!isToken(name)) throw new GuestError<HeaderError>({ tag: "invalid-syntax" });
    if (isForbiddenField(name)) throw new GuestError<HeaderError>({ tag: "forbidden" });
    return name.toLowerCase();
  }

  #mutable(): Field[] {
    if (this.#entries === undefined) this.#replace([...this.#shared]);
    return this.#entries ?? [];
  }

  #replace(entries: Field[]): void {
    let bytes = 0;
    for (const field of entries) bytes += sizeOf(field);
    this.#charge(bytes, entries.length);
    this.#entries = entries;
  }

  #charge(bytes: number, count: number): void {
    if (count > MAX_FIELDS) throw new GuestTrap(`more than ${MAX_FIELDS} fields`);
    if (bytes > MAX_FIELDS_BYTES) {
      throw new GuestTrap(`fields of more than ${MAX_FIELDS_BYTES} bytes`);
    }
    const held = bytes + count * FIELD_OVERHEAD_BYTES;
    if (held > this.#held) this.scope.hold(held - this.#held);
    else this.scope.letGo(this.#held - held);
    this.#bytes = bytes;
    this.#held = held;
  }
}

/** What a list of fields counts as, where it is held for an instance. */
export function heldBytesOf(fields: HttpHeaders): number {
  let bytes = 0;
  for (const field of fields) bytes += sizeOf(field) + FIELD_OVERHEAD_BYTES;
  return bytes;
}

function isNamed([name]: Field, lower: string): boolean {
  return name.length === lower.length && name.toLowerCase() === lower;
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length;
}

/** Control characters would end the field, or the head: RFC 9110, 5.5. */
function checkValue(value: Uint8Array): void {
  // By index: an iterator takes ten times as long, and values may be large.
  for (let index = 0; index < value.length; index++) {
    const byte = value[index] ?? 0;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) {
      throw new GuestError<HeaderError>({ tag: "invalid-syntax" });
    }
  }
}
