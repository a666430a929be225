import type { Kubelet } from "../kubelet/index.ts";
import type { Proxy } from "../proxy/index.ts";

/** Under `/stats/`, which servers may ask of each node; the rest is the kubelet's. */
const TRAFFIC_PATH = "/stats/traffic";

/** What servers ask of a node: its kubelet's API, and what went through its proxy. */
export async function askNode(
  { kubelet, proxy }: { readonly kubelet: Kubelet; readonly proxy: Proxy },
  request: Request,
): Promise<Response> {
  if (new URL(request.url).pathname === TRAFFIC_PATH) return Response.json(proxy.traffic());
  return kubelet.app.fetch(request);
}
