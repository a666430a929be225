import { parseRfc3339, type KubeObject } from "../../apimachinery/index.ts";

const LAST_REQUEST = "kubun.dev/last-request";
const REQUESTS_IN_FLIGHT = "kubun.dev/requests-in-flight";
const TRAFFIC_UNKNOWN = "kubun.dev/traffic-unknown";

/** What goes to these pods through all proxies; undefined when some proxy did not tell. */
export function trafficOf(
  metrics: readonly Pick<KubeObject, "metadata">[],
): { readonly inFlight: number; readonly lastMs: number } | undefined {
  let inFlight = 0;
  let lastMs = 0;
  for (const { metadata } of metrics) {
    const annotations = metadata.annotations ?? {};
    if (annotations[TRAFFIC_UNKNOWN] !== undefined) return undefined;
    inFlight += Number(annotations[REQUESTS_IN_FLIGHT] ?? 0);
    const last = annotations[LAST_REQUEST];
    if (last !== undefined) lastMs = Math.max(lastMs, parseRfc3339(last));
  }
  return { inFlight, lastMs };
}
