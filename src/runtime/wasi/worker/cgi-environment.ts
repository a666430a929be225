import type { HttpHeaders } from "../preview2/preview-two.ts";

/** What of a request goes into the environment. */
export interface CgiRequest {
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  readonly host: string;
  readonly headers: HttpHeaders;
}

/** What of a connection goes into the environment. */
export interface CgiConnection {
  readonly remoteAddress: string;
  readonly serverName: string;
  readonly serverPort: number;
}

/** Header fields that have a variable of their own, or none (RFC 3875 4.1.18, "httpoxy"). */
const NOT_AS_HTTP = new Set(["content-length", "content-type", "proxy"]);
/**
 * Names that are still told apart as variables: `x_forwarded_for`, which any client may send, would
 * be taken for the field of the proxy.
 */
const UNMISTAKABLE = /^[a-z0-9-]+$/;

/**
 * The meta-variables of RFC 3875 for one request, with WAGI's X_ variables. The module is mounted
 * at the root, so SCRIPT_NAME is empty and PATH_INFO is the whole decoded path.
 */
export function cgiEnvironment(
  request: CgiRequest,
  connection: CgiConnection,
  bodyBytes: number,
): [name: string, value: string][] {
  const url = urlOf(request);
  const headers = joinedHeaders(request.headers);
  const host =
    request.host === "" ? `${connection.serverName}:${connection.serverPort}` : request.host;
  const scheme = headers.get("x-forwarded-proto") === "https" ? "https" : "http";
  const query = url.search.slice(1);
  const pathInfo = decoded(url.pathname);
  return [
    ["GATEWAY_INTERFACE", "CGI/1.1"],
    ["SERVER_SOFTWARE", "Kubun/1"],
    ["SERVER_PROTOCOL", "HTTP/1.1"],
    ["SERVER_NAME", host.replace(/:\d+$/, "")],
    ["SERVER_PORT", String(connection.serverPort)],
    ["REQUEST_METHOD", request.method],
    ["SCRIPT_NAME", ""],
    ["PATH_INFO", pathInfo],
    ["PATH_TRANSLATED", pathInfo],
    ["QUERY_STRING", query],
    ["REMOTE_ADDR", connection.remoteAddress],
    ["REMOTE_HOST", connection.remoteAddress],
    ["AUTH_TYPE", ""],
    ["REMOTE_USER", ""],
    ["CONTENT_LENGTH", String(bodyBytes)],
    ["CONTENT_TYPE", headers.get("content-type") ?? ""],
    ["X_FULL_URL", `${scheme}://${host}${url.pathname}${url.search}`],
    ["X_MATCHED_ROUTE", "/..."],
    ["X_RAW_PATH_INFO", url.pathname],
    ...[...headers]
      .filter(([name]) => UNMISTAKABLE.test(name) && !NOT_AS_HTTP.has(name))
      .map(([name, value]): [string, string] => [
        `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
        value,
      ]),
  ];
}

/** WAGI hands `a=b` words of the query over as arguments too. */
export function cgiArguments(request: CgiRequest): string[] {
  const query = urlOf(request).search.slice(1);
  return query === "" ? [] : query.split("&").map(decoded);
}

/** Without what stands for going up and down in the path. */
function urlOf({ target }: CgiRequest): URL {
  return new URL(`http://host${target.startsWith("/") ? target : `/${target}`}`);
}

/** By lower-case name; several of one name are one, as RFC 3875 4.1.18 asks. */
function joinedHeaders(headers: HttpHeaders): Map<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    const text = Buffer.from(value).toString("latin1");
    const before = joined.get(lower);
    const comma = lower === "cookie" ? "; " : ", ";
    joined.set(lower, before === undefined ? text : `${before}${comma}${text}`);
  }
  return joined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    // A stray percent sign is the guest's to make sense of.
    if (error instanceof URIError) return text;
    throw error;
  }
}
