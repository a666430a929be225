import { EGRESS_ERROR, type RequestHead, type ResponseHead } from "../../lib/index.ts";
import type { EgressErrorCode } from "./egress-error.ts";
import type { Door } from "./request-target.ts";

const CRLF = "\r\n";
const EMPTY_LINE = 2;

/**
 * Writes the head to be sent to an endpoint into `target` and answers its length. `forwarded` are
 * the field lines that tell the endpoint who asked. Everything else stays byte for byte.
 */
export function writeRequestHead(head: RequestHead, forwarded: Buffer, target: Buffer): number {
  let at = 0;
  let from = head.start;
  if (head.rewriteLine) {
    at += target.write(`${head.method} ${head.target} HTTP/1.1\r\n`, at, "latin1");
    from = head.fieldsStart;
  }
  at = copyKept(head.bytes, from, head.end - EMPTY_LINE, head.fields.removals, target, at);
  forwarded.copy(target, at);
  at += forwarded.length;
  if (head.fields.host === undefined) {
    at += target.write(`Host: ${head.host === "" ? "localhost" : head.host}\r\n`, at, "latin1");
  }
  if (head.upgrade !== "") {
    const lines = `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`;
    at += target.write(lines, at, "latin1");
  } else if (head.fields.trailersWelcome && head.version === 11) {
    // They pass as they come, for this proxy follows bodies and does not decode them.
    at += target.write("Connection: TE\r\nTE: trailers\r\n", at, "latin1");
  }
  return at + target.write(CRLF, at, "latin1");
}

/** The field lines about the client, for {@link writeRequestHead}. */
export function forwardedLines(clientAddress: string, host: string, door: Door): Buffer {
  const hostLine = host === "" ? "" : `X-Forwarded-Host: ${host}\r\n`;
  return Buffer.from(
    `X-Forwarded-For: ${clientAddress}\r\nX-Real-Ip: ${clientAddress}\r\n` +
      `X-Forwarded-Proto: ${door.scheme}\r\nX-Forwarded-Port: ${door.port}\r\n${hostLine}`,
    "latin1",
  );
}

export interface ResponseHeadChanges {
  /** Value for the Connection field; none is written when undefined. */
  readonly connection?: string;
  /** Leaves out Transfer-Encoding, for a client of HTTP/1.0. */
  readonly dropTransferEncoding?: boolean;
}

/** Writes the head to be sent to a client into `target` and answers its length. */
export function writeResponseHead(
  head: ResponseHead,
  changes: ResponseHeadChanges,
  target: Buffer,
): number {
  const lineStart = head.start;
  // This proxy speaks HTTP/1.1 to the client, whatever the endpoint spoke.
  let at = target.write("HTTP/1.1", 0, "latin1");
  head.bytes.copy(target, at, lineStart + at, head.fieldsStart);
  at = head.fieldsStart - lineStart;
  const removals =
    changes.dropTransferEncoding === true
      ? withTransferEncoding(head)
      : (head.fields.removals as readonly number[]);
  at = copyKept(head.bytes, head.fieldsStart, head.end - EMPTY_LINE, removals, target, at);
  if (changes.connection !== undefined) {
    at += target.write(`Connection: ${changes.connection}\r\n`, at, "latin1");
  }
  if (head.status === 101) at += target.write(`Upgrade: ${head.upgrade}\r\n`, at, "latin1");
  return at + target.write(CRLF, at, "latin1");
}

function copyKept(
  bytes: Buffer,
  from: number,
  to: number,
  removals: readonly number[],
  target: Buffer,
  at: number,
): number {
  let source = from;
  let written = at;
  for (let index = 0; index < removals.length; index += 2) {
    const start = removals[index] ?? to;
    written += bytes.copy(target, written, source, start);
    source = removals[index + 1] ?? to;
  }
  return written + bytes.copy(target, written, source, to);
}

function withTransferEncoding(head: ResponseHead): readonly number[] {
  const removals: number[] = [];
  for (let at = head.fieldsStart; at < head.end - EMPTY_LINE;) {
    const lineEnd = head.bytes.indexOf(CRLF, at) + CRLF.length;
    const line = head.bytes.toString("latin1", at, lineEnd);
    const known = head.fields.removals.some((start, index) => index % 2 === 0 && start === at);
    if (known || /^transfer-encoding:/i.test(line)) removals.push(at, lineEnd);
    at = lineEnd;
  }
  return removals;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

export interface OwnResponseOptions {
  readonly method: string;
  readonly close: boolean;
  /** What a pod's worker is told of it. */
  readonly code?: EgressErrorCode | undefined;
}

/** A whole answer of the proxy's own, as plain text. */
export function plainResponse(
  status: number,
  message: string,
  options: OwnResponseOptions,
): Buffer {
  const fields = [
    "Content-Type: text/plain; charset=utf-8",
    ...(status === 503 ? ["Retry-After: 1"] : []),
    ...(options.code === undefined ? [] : [`${EGRESS_ERROR}: ${options.code}`]),
  ];
  return ownResponse(status, fields, `${message}\n`, options);
}

/** A whole answer of the proxy's own, for a program. */
export function jsonResponse(value: unknown, options: OwnResponseOptions): Buffer {
  return ownResponse(200, ["Content-Type: application/json"], JSON.stringify(value), options);
}

function ownResponse(
  status: number,
  fields: readonly string[],
  text: string,
  options: OwnResponseOptions,
): Buffer {
  const body = Buffer.from(text, "utf8");
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`,
    ...fields,
    `Content-Length: ${body.length}`,
    ...(options.close ? ["Connection: close"] : []),
    "",
    "",
  ].join(CRLF);
  const bytes = Buffer.from(head, "latin1");
  return options.method === "HEAD" ? bytes : Buffer.concat([bytes, body]);
}
