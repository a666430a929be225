import type { HttpHeaders } from "../../preview2/preview-two.ts";

const REASONS: Readonly<Record<number, string>> = {
  101: "Switching Protocols",
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** Fields about the connection or the message's end, which are the front's to write. */
const OWN_FIELDS = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** `name` in any case. */
export function isOwnField(name: string): boolean {
  return OWN_FIELDS.has(name.toLowerCase());
}

/** The lines of a guest's fields, with their line ends. */
export function fieldLines(fields: HttpHeaders): string {
  let lines = "";
  for (const [name, value] of fields) {
    if (!isOwnField(name)) lines += `${name}: ${latin1(value)}\r\n`;
  }
  return lines;
}

/** A head with its empty line. `own` are the front's lines, with their line ends. */
export function answerHead(status: number, fields: HttpHeaders, own: string): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${fieldLines(fields)}${own}\r\n`;
}

/** Field values are bytes: one character each. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
