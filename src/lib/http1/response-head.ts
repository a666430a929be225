import {
  CHUNKED,
  fault,
  isFault,
  NO_BODY,
  scanFields,
  UNTIL_CLOSE,
  type Fields,
  type Framing,
  type HeadFault,
  type Side,
} from "./message-head.ts";

/** One response as read from an endpoint; `bytes[start, end)` is its head as it came. */
export interface ResponseHead {
  readonly bytes: Buffer;
  readonly start: number;
  readonly fieldsStart: number;
  readonly end: number;
  readonly status: number;
  readonly framing: Framing;
  /** The endpoint keeps the connection open. */
  readonly keepAlive: boolean;
  readonly upgrade: string;
  readonly fields: Fields;
}

const LF = 10;
const HTAB = 9;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})( |\r\n$)/;
/** `HTTP/1.1 200 ` and what makes it short enough to look at as text. */
const MAX_STATUS_LINE = 512;

/** Reads a whole response head; a fault means that the endpoint cannot be understood (502). */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  method: string,
  side: Side = "ingress",
): ResponseHead | HeadFault {
  const lineEnd = bytes.indexOf(LF, start) + 1;
  if (lineEnd - start > MAX_STATUS_LINE) return fault(502, "malformed status line");
  const parts = STATUS_LINE.exec(bytes.toString("latin1", start, lineEnd));
  if (parts === null) return fault(502, "malformed status line");
  // The reason phrase, up to its CRLF, has no control character.
  for (let at = start; at < lineEnd - 2; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte < 32 && byte !== HTAB) || byte === 127) return fault(502, "malformed status line");
  }
  const status = Number(parts[2]);
  const fields = scanFields(bytes, lineEnd, end, side);
  if (isFault(fields)) return fault(502, fields.message);
  if (fields.chunked && fields.contentLength !== -1) {
    return fault(502, "both Content-Length and Transfer-Encoding");
  }
  const framing = responseFraming(fields, status, method);
  const old = parts[1] === "0";
  return {
    bytes,
    start,
    fieldsStart: lineEnd,
    end,
    status,
    framing,
    keepAlive: framing.type !== "until-close" && !fields.close && (!old || fields.keepAlive),
    upgrade: fields.upgrade,
    fields,
  };
}

function responseFraming(fields: Fields, status: number, method: string): Framing {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (fields.chunked) return CHUNKED;
  if (fields.contentLength === -1) return UNTIL_CLOSE;
  return fields.contentLength === 0 ? NO_BODY : { type: "length", bytes: fields.contentLength };
}
