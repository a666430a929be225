/** What a header field means to a proxy; every other field is passed on untouched. */
export type FieldKind =
  | "connection"
  | "content-length"
  | "egress"
  | "expect"
  | "hop-by-hop"
  | "host"
  | "forwarded"
  | "te"
  | "transfer-encoding"
  | "upgrade";

/** Names the wasi:http error of an answer that is the proxy's own. */
export const EGRESS_ERROR = "x-kubun-egress-error";

interface KnownField {
  readonly name: Uint8Array;
  readonly kind: FieldKind;
}

/**
 * `forwarded` are the fields in which a proxy tells who asked: what a client writes there itself is
 * dropped, because backends believe it. `proxy` is a field no client sends in good faith (httpoxy).
 * `egress` are the fields between a pod's worker and the proxy.
 */
const KINDS: Readonly<Record<FieldKind, readonly string[]>> = {
  connection: ["connection"],
  "content-length": ["content-length"],
  egress: ["x-kubun-scheme", "x-kubun-connect-timeout-ms", "x-kubun-resolve", EGRESS_ERROR],
  expect: ["expect"],
  "hop-by-hop": ["keep-alive", "proxy-connection", "proxy"],
  host: ["host"],
  forwarded: [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
  ],
  te: ["te"],
  "transfer-encoding": ["transfer-encoding"],
  upgrade: ["upgrade"],
};

const LONGEST = 26;

/** Index is the length of the name, so that most fields are told apart by it alone. */
const BY_LENGTH: readonly (readonly KnownField[])[] = Array.from(
  { length: LONGEST + 1 },
  (_, length) =>
    Object.entries(KINDS).flatMap(([kind, names]) =>
      names
        .filter((name) => name.length === length)
        .map((name) => ({ name: Buffer.from(name, "latin1"), kind: kind as FieldKind })),
    ),
);

/** The kind of the field whose name is bytes[start, end), in any case. */
export function fieldKind(bytes: Uint8Array, start: number, end: number): FieldKind | undefined {
  const candidates = BY_LENGTH[end - start];
  if (candidates === undefined) return undefined;
  for (const candidate of candidates) {
    if (equalsIgnoringCase(bytes, start, candidate.name)) return candidate.kind;
  }
  return undefined;
}

/** `name` is lower case; OR-ing 0x20 lowers letters and leaves "-" and digits alone. */
export function equalsIgnoringCase(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    if (((bytes[start + index] ?? 0) | 0x20) !== name[index]) return false;
  }
  return true;
}
