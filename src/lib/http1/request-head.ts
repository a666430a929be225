import {
  CHUNKED,
  fault,
  isFault,
  NO_BODY,
  scanFields,
  TOKEN,
  type Fields,
  type Framing,
  type HeadFault,
  type Side,
} from "./message-head.ts";

/** One request as read from a client; `bytes[start, end)` is its head as it came. */
export interface RequestHead {
  readonly bytes: Buffer;
  readonly start: number;
  /** Behind the request line. */
  readonly fieldsStart: number;
  /** Behind the empty line. */
  readonly end: number;
  readonly method: string;
  /** Origin form: path and query; `*` for OPTIONS. */
  readonly target: string;
  /** The target was absolute or the version 1.0, so that the request line is written anew. */
  readonly rewriteLine: boolean;
  /** As sent, port included; empty for an HTTP/1.0 request without one. */
  readonly host: string;
  readonly version: 10 | 11;
  readonly framing: Framing;
  readonly keepAlive: boolean;
  /** The protocol asked for; empty when none. */
  readonly upgrade: string;
  readonly fields: Fields;
}

const SPACE = 32;
const CR = 13;
const MAX_METHOD_LENGTH = 32;
const HTTP11 = Buffer.from("HTTP/1.1\r\n", "latin1");
const HOST = /^([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/;

/** Reads a whole request head. A fault's status says what to answer. */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  side: Side = "ingress",
): RequestHead | HeadFault {
  let methodEnd = start;
  while (TOKEN[bytes[methodEnd] ?? 0] === 1) methodEnd++;
  if (methodEnd === start || bytes[methodEnd] !== SPACE)
    return fault(400, "malformed request line");
  if (methodEnd - start > MAX_METHOD_LENGTH) return fault(501, "unknown method");
  const targetStart = methodEnd + 1;
  let targetEnd = targetStart;
  // A target is visible ASCII: spaces, control characters and raw UTF-8 are refused.
  while ((bytes[targetEnd] ?? 0) > SPACE && (bytes[targetEnd] ?? 0) < 127) targetEnd++;
  if (targetEnd === targetStart || bytes[targetEnd] !== SPACE) {
    return fault(400, "malformed request target");
  }
  const version = versionAt(bytes, targetEnd + 1);
  if (typeof version !== "number") return version;
  const fieldsStart = targetEnd + 1 + HTTP11.length;
  const fields = scanFields(bytes, fieldsStart, end, side);
  if (isFault(fields)) return fields;
  const method = bytes.toString("latin1", start, methodEnd);
  const asked = originForm(method, bytes.toString("latin1", targetStart, targetEnd), fields.host);
  if (isFault(asked)) return asked;
  if (version === 11 && fields.host === undefined) return fault(400, "a request needs a Host");
  if (asked.host !== "" && !HOST.test(asked.host)) return fault(400, "malformed Host");
  const framing = requestFraming(fields, version);
  if (isFault(framing)) return framing;
  return {
    bytes,
    start,
    fieldsStart,
    end,
    method,
    target: asked.target,
    rewriteLine: asked.absolute || version === 10,
    host: asked.host,
    version,
    framing,
    keepAlive: version === 11 ? !fields.close : fields.keepAlive && !fields.close,
    upgrade: version === 11 && fields.upgradeNominated ? wantedUpgrade(fields.upgrade) : "",
    fields,
  };
}

function versionAt(bytes: Buffer, at: number): 10 | 11 | HeadFault {
  for (let index = 0; index < 7; index++) {
    if (bytes[at + index] !== HTTP11[index]) return fault(400, "malformed request line");
  }
  const minor = bytes[at + 7];
  if (bytes[at + 8] !== CR) return fault(400, "malformed request line");
  if (minor === 0x31) return 11;
  return minor === 0x30 ? 10 : fault(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

interface Asked {
  readonly target: string;
  readonly host: string;
  readonly absolute: boolean;
}

/** An absolute target overrides the Host field (RFC 9112 section 3.2.2). */
function originForm(method: string, target: string, host: string | undefined): Asked | HeadFault {
  if (method === "CONNECT") return fault(405, "CONNECT is not offered here");
  if (target.startsWith("/")) return { target, host: host ?? "", absolute: false };
  if (target === "*") {
    if (method !== "OPTIONS") return fault(400, "the target * is for OPTIONS only");
    return { target, host: host ?? "", absolute: false };
  }
  const parts = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(target);
  if (parts === null) return fault(400, "malformed request target");
  const rest = parts[2] ?? "";
  const authority = parts[1] ?? "";
  if (authority === "") return fault(400, "malformed request target");
  return { target: rest.startsWith("/") ? rest : `/${rest}`, host: authority, absolute: true };
}

function requestFraming(fields: Fields, version: 10 | 11): Framing | HeadFault {
  if (fields.chunked) {
    if (fields.contentLength !== -1) {
      return fault(400, "both Content-Length and Transfer-Encoding");
    }
    if (version === 10) return fault(400, "Transfer-Encoding in HTTP/1.0");
    return CHUNKED;
  }
  if (fields.contentLength <= 0) return NO_BODY;
  return { type: "length", bytes: fields.contentLength };
}

/** Cleartext HTTP/2 would leave this proxy blind to the requests inside: never passed on. */
function wantedUpgrade(upgrade: string): string {
  return /^h2c?\b/i.test(upgrade) || upgrade.includes(",") ? "" : upgrade;
}

/** Methods that may be sent again when no answer came (RFC 9110 section 9.2.2). */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PUT":
    case "DELETE":
    case "TRACE":
      return true;
    default:
      return false;
  }
}
