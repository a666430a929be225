/** What of a connection goes into the environment. */
export interface CgiConnection {
  readonly remoteAddress: string;
  readonly serverName: string;
  readonly serverPort: number;
}

/** Header fields that have a variable of their own, or none (RFC 3875 4.1.18, "httpoxy"). */
const NOT_AS_HTTP = new Set(["content-length", "content-type", "proxy"]);

/**
 * The meta-variables of RFC 3875 for one request, with WAGI's X_ variables. The module is mounted
 * at the root, so SCRIPT_NAME is empty and PATH_INFO is the whole decoded path.
 */
export function cgiEnvironment(
  request: Request,
  connection: CgiConnection,
  bodyBytes: number,
): [name: string, value: string][] {
  const url = new URL(request.url);
  const { headers } = request;
  const host = headers.get("host") ?? `${connection.serverName}:${connection.serverPort}`;
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
      .filter(([name]) => !NOT_AS_HTTP.has(name))
      .map(([name, value]): [string, string] => [
        `HTTP_${name.toUpperCase().replaceAll("-", "_")}`,
        value,
      ]),
  ];
}

/** WAGI hands `a=b` words of the query over as arguments too. */
export function cgiArguments(request: Request): string[] {
  const query = new URL(request.url).search.slice(1);
  return query === "" ? [] : query.split("&").map(decoded);
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
