import type { HttpHeaders, IncomingHttp } from "../preview2/preview-two.ts";

/** Fields about the connection, which the server writes; a guest's are left out. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** Answers that have no body, whatever the guest wrote. */
const BODILESS = new Set([204, 205, 304]);
const MIN_STATUS = 200;
const MAX_STATUS = 599;

/** What a guest answered that HTTP/1.1 cannot say; the message goes to the log. */
export class AnswerRefused extends Error {
  override readonly name = "AnswerRefused";
}

/** A request as the host gives it to a guest. */
export function incomingOf(request: Request): IncomingHttp {
  const headers: [string, Uint8Array][] = [];
  // Header values are bytes: one character each.
  request.headers.forEach((value, name) => {
    if (!HOP_BY_HOP.has(name)) headers.push([name, Buffer.from(value, "latin1")]);
  });
  const authority = request.headers.get("host");
  return {
    method: request.method,
    scheme: "http",
    ...(authority === null ? {} : { authority }),
    pathWithQuery: pathOf(request.url),
    headers,
    body: request.body ?? undefined,
  };
}

/** Path and query of an absolute URL; parsing all of it costs more than a whole small request. */
export function pathOf(url: string): string {
  const authority = url.indexOf("//") + 2;
  const path = url.indexOf("/", authority);
  const query = url.indexOf("?", authority);
  if (query >= 0 && (path < 0 || query < path)) return `/${url.slice(query)}`;
  return path < 0 ? "/" : url.slice(path);
}

/** The head of a guest's answer. Throws {@link AnswerRefused}. */
export function headOf(
  status: number,
  fields: HttpHeaders,
): { readonly status: number; readonly headers: Headers } {
  if (!Number.isInteger(status) || status < MIN_STATUS || status > MAX_STATUS) {
    throw new AnswerRefused(
      `the guest answered status ${status}; want ${MIN_STATUS}…${MAX_STATUS}`,
    );
  }
  const headers = new Headers();
  for (const [name, value] of fields) {
    if (HOP_BY_HOP.has(name.toLowerCase())) continue;
    try {
      headers.append(name, Buffer.from(value).toString("latin1"));
    } catch (error) {
      throw new AnswerRefused(`the guest answered field ${JSON.stringify(name)}: ${String(error)}`);
    }
  }
  return { status, headers };
}

export function hasBody(method: string, status: number): boolean {
  return method !== "HEAD" && !BODILESS.has(status);
}
