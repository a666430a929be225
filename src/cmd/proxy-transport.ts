import { join } from "node:path";
import { serviceUnavailable } from "../apimachinery/index.ts";
import type { ProxyTransport } from "../apiserver/index.ts";
import { EGRESS_ERROR } from "../lib/index.ts";
import type { Proxy } from "../proxy/index.ts";
import type { DataDirectory } from "./data-directory.ts";

/** What decides on the way in: nobody is asked, for the API server has authorized the request. */
const EVERYTHING = { namespace: "default", allows: () => true };

/**
 * Sends what the API proxies the way that the requests of pods go: Services are balanced and woken,
 * and pods of other nodes are reached through tunnels.
 */
export function createProxyTransport(
  directory: Pick<DataDirectory, "sockets">,
  proxy: () => Pick<Proxy, "openEgress">,
): ProxyTransport {
  const unix = join(directory.sockets, "api-proxy.sock");
  let opened = false;
  return async (request, { scheme, host, port }) => {
    if (!opened) {
      proxy().openEgress(unix, EVERYTHING);
      opened = true;
    }
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("host", `${host}:${port}`);
    headers.set("x-kubun-scheme", scheme);
    const answer = await fetch(`http://cluster.invalid${pathname}${search}`, {
      unix,
      method: request.method,
      headers,
      redirect: "manual",
      // What is compressed stays so: the client understands it, or did not ask for it.
      decompress: false,
      signal: request.signal,
      ...(request.body === null ? {} : { body: request.body, duplex: "half" }),
    } as RequestInit);
    const code = answer.headers.get(EGRESS_ERROR);
    if (code === null) return new Response(answer.body, answer);
    const why = (await answer.text()).trim();
    if (code !== "destination-unavailable") throw new Error(why);
    throw serviceUnavailable(`no endpoints available for service "${host.split(".")[0]}"`);
  };
}
