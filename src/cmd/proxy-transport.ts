import { join } from "node:path";
import { serviceUnavailable } from "../apimachinery/index.ts";
import type { ProxyTransport } from "../apiserver/index.ts";
import { EGRESS_ERROR } from "../lib/index.ts";
import type { Proxy } from "../proxy/index.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { ApiListener } from "./listeners.ts";
import { proxiedUpgrade } from "./proxied-upgrade.ts";

/** What decides on the way in: nobody is asked, for the API server has authorized the request. */
const EVERYTHING = { namespace: "default", allows: () => true };

/**
 * Sends what the API proxies the way that the requests of pods go: Services are balanced and woken,
 * and pods of other nodes are reached through tunnels.
 */
export function createProxyTransport(
  directory: Pick<DataDirectory, "sockets">,
  proxy: () => Pick<Proxy, "openEgress">,
  listener: Pick<ApiListener, "takeOver">,
): ProxyTransport {
  const unix = join(directory.sockets, "api-proxy.sock");
  let opened = false;
  return async (request, { scheme, host, port }, upgraded) => {
    if (!opened) {
      proxy().openEgress(unix, EVERYTHING);
      opened = true;
    }
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("host", `${host}:${port}`);
    headers.set("x-kubun-scheme", scheme);
    const target = `${pathname}${search}`;
    const { method } = request;
    const answer =
      upgraded === undefined
        ? await fetch(`http://cluster.invalid${target}`, {
            unix,
            method,
            headers,
            redirect: "manual",
            // What is compressed stays so: the client understands it, or did not ask for it.
            decompress: false,
            signal: request.signal,
            ...(request.body === null ? {} : { body: request.body, duplex: "half" }),
          } as RequestInit)
        : await proxiedUpgrade({ unix, method, target, headers, came: upgraded, listener });
    const code = answer.headers.get(EGRESS_ERROR);
    if (code === null) return new Response(answer.body, answer);
    const why = (await answer.text()).trim();
    if (code !== "destination-unavailable") throw new Error(why);
    throw serviceUnavailable(`no endpoints available for service "${host.split(".")[0]}"`);
  };
}
