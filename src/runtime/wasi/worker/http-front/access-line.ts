import type { FrontExchange } from "./front-exchange.ts";

/** One request in the access log: method, target, status, time until the head, id. */
export function accessLine(
  { method, target, headers }: FrontExchange,
  { status, tookNs }: { readonly status: number; readonly tookNs: bigint },
): Buffer {
  const tookMs = Number(tookNs) / 1e6;
  const given = headers.find(([name]) => name.toLowerCase() === "x-request-id")?.[1];
  const id = given === undefined ? "-" : Buffer.from(given).toString("latin1");
  return Buffer.from(`${method} ${target} ${status} ${tookMs.toFixed(1)}ms ${id}\n`, "latin1");
}
