import type { RequestHead } from "../../lib/index.ts";

/** What a pod asks of the proxy with one request. */
export type EgressRequest =
  | {
      readonly type: "forward";
      readonly scheme: "http" | "https";
      /** Lower case, without the root's dot; an IPv6 address without brackets. */
      readonly host: string;
      readonly port: number;
      readonly connectMs?: number;
    }
  /** The addresses of a name. */
  | { readonly type: "resolve"; readonly host: string }
  | { readonly type: "fault"; readonly message: string };

const MAX_CONNECT_MS = 600_000;
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/;

/** Reads who is asked from Host, and how from the worker's own fields. */
export function readEgressRequest({ host, fields }: RequestHead): EgressRequest {
  const name = fields.egress?.get("x-kubun-resolve");
  if (name !== undefined) return { type: "resolve", host: withoutRoot(name.toLowerCase()) };
  const scheme = fields.egress?.get("x-kubun-scheme") ?? "http";
  if (scheme !== "http" && scheme !== "https") {
    return fault(`x-kubun-scheme: ${scheme} is neither http nor https`);
  }
  const parts = AUTHORITY.exec(host.toLowerCase());
  const port = Number(parts?.[3] ?? (scheme === "https" ? 443 : 80));
  if (parts === null || port < 1 || port > 65_535) return fault(`Host ${host} is no host:port`);
  const target = withoutRoot(parts[1] ?? parts[2] ?? "");
  const connect = fields.egress?.get("x-kubun-connect-timeout-ms");
  if (connect === undefined) return { type: "forward", scheme, host: target, port };
  if (!/^[0-9]{1,9}$/.test(connect)) {
    return fault(`x-kubun-connect-timeout-ms: ${connect} is not a number of milliseconds`);
  }
  const connectMs = Math.min(Math.max(Number(connect), 1), MAX_CONNECT_MS);
  return { type: "forward", scheme, host: target, port, connectMs };
}

function withoutRoot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function fault(message: string): EgressRequest {
  return { type: "fault", message };
}
