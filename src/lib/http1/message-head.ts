import { equalsIgnoringCase, fieldKind, type FieldKind } from "./field-names.ts";

/** How the end of a message body is known (RFC 9112 section 6.3). */
export type Framing =
  | { readonly type: "none" }
  | { readonly type: "length"; readonly bytes: number }
  | { readonly type: "chunked" }
  | { readonly type: "until-close" };

export const NO_BODY: Framing = { type: "none" };
export const CHUNKED: Framing = { type: "chunked" };
export const UNTIL_CLOSE: Framing = { type: "until-close" };

/** Why a head is refused: the status to answer and a sentence for the body of that answer. */
export interface HeadFault {
  readonly status: number;
  readonly message: string;
}

/** What the fields of a head say, as far as a proxy cares. Offsets are into the head's bytes. */
export interface Fields {
  /** -1 when absent. */
  contentLength: number;
  chunked: boolean;
  close: boolean;
  keepAlive: boolean;
  /** The Connection field names `upgrade`. */
  upgradeNominated: boolean;
  /** Value of Upgrade; empty when absent. */
  upgrade: string;
  expectContinue: boolean;
  /** TE says that trailers are welcome. */
  trailersWelcome: boolean;
  /** Value of Host; undefined when absent. */
  host: string | undefined;
  /** Pairs start, end of field lines not to be passed on, in rising order. */
  removals: number[];
  /** Values of the fields between a worker and the proxy, by lower-case name. */
  egress: Map<string, string> | undefined;
  /** Lower-case names the Connection field nominates beyond the well-known ones. */
  nominated: string[];
}

const MAX_FIELDS = 256;
const HTAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const DELETE = 127;
const CHUNKED_NAME = Buffer.from("chunked", "latin1");
const NO_REMOVALS: readonly number[] = [];

/** 1 for the characters of a token (RFC 9110 section 5.6.2). */
export const TOKEN = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

/**
 * Whose messages are read: of the `ingress`, where a client is not believed who asked; of a pod's
 * `egress`, where a worker tells the proxy what to do, and what is said about who asked is the
 * pod's own affair; or of the `pod` itself, which the proxy told who asked.
 */
export type Side = "ingress" | "egress" | "pod";

/**
 * Reads the field lines bytes[from, end), where `end` is behind the empty line. Refuses whatever
 * two readers could understand differently: folded lines, spaces before the colon, control
 * characters, repeated or conflicting framing (RFC 9112 sections 5 and 6).
 */
export function scanFields(
  bytes: Buffer,
  from: number,
  end: number,
  side: Side,
): Fields | HeadFault {
  const fields: Fields = {
    contentLength: -1,
    chunked: false,
    close: false,
    keepAlive: false,
    upgradeNominated: false,
    upgrade: "",
    expectContinue: false,
    trailersWelcome: false,
    host: undefined,
    removals: NO_REMOVALS as number[],
    egress: undefined,
    nominated: [],
  };
  const stop = end - 2;
  let count = 0;
  for (let at = from; at < stop;) {
    let nameEnd = at;
    while (TOKEN[bytes[nameEnd] ?? 0] === 1) nameEnd++;
    if (nameEnd === at || bytes[nameEnd] !== COLON) return fault(400, "malformed header field");
    let valueEnd = nameEnd + 1;
    for (;;) {
      const byte = bytes[valueEnd] ?? 0;
      if ((byte < SPACE && byte !== HTAB) || byte === DELETE) break;
      valueEnd++;
    }
    if (bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) {
      return fault(400, "control character in a header field");
    }
    if (++count > MAX_FIELDS) return fault(431, `more than ${MAX_FIELDS} header fields`);
    const lineEnd = valueEnd + 2;
    const kind = fieldKind(bytes, at, nameEnd);
    if (kind !== undefined && !isPassedOn(kind, side)) {
      const line: FieldLine = { bytes, start: at, nameEnd, valueEnd, lineEnd };
      const problem = readKnown(fields, kind, line);
      if (problem !== undefined) return problem;
    }
    at = lineEnd;
  }
  if (fields.nominated.length > 0) removeNominated(fields, bytes, from, stop);
  return fields;
}

function isPassedOn(kind: FieldKind, side: Side): boolean {
  return kind === "egress" ? side !== "egress" : kind === "forwarded" && side !== "ingress";
}

interface FieldLine {
  readonly bytes: Buffer;
  readonly start: number;
  readonly nameEnd: number;
  readonly valueEnd: number;
  readonly lineEnd: number;
}

function readKnown(fields: Fields, kind: FieldKind, line: FieldLine): HeadFault | undefined {
  switch (kind) {
    case "host":
      if (fields.host !== undefined) return fault(400, "more than one Host");
      fields.host = valueOf(line);
      return undefined;
    case "content-length":
      return readContentLength(fields, line);
    case "transfer-encoding":
      return readTransferEncoding(fields, line);
    case "connection":
      remove(fields, line.start, line.lineEnd);
      return readConnection(fields, valueOf(line));
    case "upgrade":
      remove(fields, line.start, line.lineEnd);
      fields.upgrade =
        fields.upgrade === "" ? valueOf(line) : `${fields.upgrade}, ${valueOf(line)}`;
      return undefined;
    case "expect":
      if (valueOf(line).toLowerCase() !== "100-continue") {
        return fault(417, "only Expect: 100-continue is understood");
      }
      fields.expectContinue = true;
      return undefined;
    case "egress":
      fields.egress ??= new Map();
      fields.egress.set(nameOf(line), valueOf(line));
      remove(fields, line.start, line.lineEnd);
      return undefined;
    case "te":
      fields.trailersWelcome ||= /(^|,)\s*trailers\s*(,|$)/i.test(valueOf(line));
      remove(fields, line.start, line.lineEnd);
      return undefined;
    case "hop-by-hop":
    case "forwarded":
      remove(fields, line.start, line.lineEnd);
      return undefined;
  }
}

function readContentLength(fields: Fields, line: FieldLine): HeadFault | undefined {
  const text = valueOf(line);
  if (fields.contentLength !== -1) return fault(400, "more than one Content-Length");
  // Fifteen digits stay below the largest exact integer.
  if (!/^[0-9]{1,15}$/.test(text)) return fault(400, "malformed Content-Length");
  fields.contentLength = Number(text);
  return undefined;
}

function readTransferEncoding(fields: Fields, line: FieldLine): HeadFault | undefined {
  if (fields.chunked) return fault(400, "more than one Transfer-Encoding");
  const [start, end] = trimmed(line);
  const chunked =
    end - start === CHUNKED_NAME.length && equalsIgnoringCase(line.bytes, start, CHUNKED_NAME);
  if (!chunked) return fault(501, "only the chunked transfer coding is understood");
  fields.chunked = true;
  return undefined;
}

function readConnection(fields: Fields, value: string): HeadFault | undefined {
  for (const part of value.split(",")) {
    const option = part.trim().toLowerCase();
    if (option === "close") fields.close = true;
    else if (option === "keep-alive") fields.keepAlive = true;
    else if (option === "upgrade") fields.upgradeNominated = true;
    else if (option !== "") fields.nominated.push(option);
  }
  return undefined;
}

/** Fields without which the message would mean something else cannot be nominated away. */
const NOT_REMOVABLE = new Set(["host", "content-length", "transfer-encoding", "expect"]);

function removeNominated(fields: Fields, bytes: Buffer, from: number, stop: number): void {
  const names = new Set(fields.nominated.filter((name) => !NOT_REMOVABLE.has(name)));
  const removals: number[] = [];
  for (let at = from; at < stop;) {
    const colon = bytes.indexOf(COLON, at);
    const lineEnd = bytes.indexOf(LF, at) + 1;
    const name = bytes.toString("latin1", at, colon).toLowerCase();
    if (names.has(name) || isRemoved(fields.removals, at)) removals.push(at, lineEnd);
    at = lineEnd;
  }
  fields.removals = removals;
}

function isRemoved(removals: readonly number[], start: number): boolean {
  for (let index = 0; index < removals.length; index += 2) {
    if (removals[index] === start) return true;
  }
  return false;
}

function remove(fields: Fields, start: number, end: number): void {
  if (fields.removals === NO_REMOVALS) fields.removals = [start, end];
  else fields.removals.push(start, end);
}

/** A field's name as it was sent, and its value's bytes, which are those of the head. */
export type FieldEntry = readonly [name: string, value: Buffer];

/**
 * The field lines bytes[from, end), which were checked before, without those to be removed; `end`
 * is behind the last line.
 */
export function fieldEntries(
  bytes: Buffer,
  from: number,
  end: number,
  removals: readonly number[] = NO_REMOVALS,
): FieldEntry[] {
  const entries: FieldEntry[] = [];
  let removal = 0;
  for (let at = from; at < end;) {
    const lineEnd = bytes.indexOf(LF, at) + 1;
    if (removals[removal] === at) {
      removal += 2;
    } else {
      const nameEnd = bytes.indexOf(COLON, at);
      const [start, stop] = trimmed({ bytes, start: at, nameEnd, valueEnd: lineEnd - 2, lineEnd });
      entries.push([bytes.toString("latin1", at, nameEnd), bytes.subarray(start, stop)]);
    }
    at = lineEnd;
  }
  return entries;
}

function trimmed(line: FieldLine): [number, number] {
  let start = line.nameEnd + 1;
  let end = line.valueEnd;
  while (start < end && isBlank(line.bytes[start])) start++;
  while (end > start && isBlank(line.bytes[end - 1])) end--;
  return [start, end];
}

function nameOf({ bytes, start, nameEnd }: FieldLine): string {
  return bytes.toString("latin1", start, nameEnd).toLowerCase();
}

function valueOf(line: FieldLine): string {
  const [start, end] = trimmed(line);
  return line.bytes.toString("latin1", start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === HTAB;
}

export function fault(status: number, message: string): HeadFault {
  return { status, message };
}

export function isFault(value: object): value is HeadFault {
  return "message" in value;
}
