import type { Pod } from "../../api/index.ts";
import { badRequest } from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";

/**
 * Takes the connection of a request over and joins it to ports of a pod. The response that it gives
 * is not sent any more; undefined when this request's transport cannot be taken over.
 */
export type PortForwarder = (request: Request, pod: Readonly<Pod>) => Response | undefined;

/** Forwarding of ports to a pod: the request becomes a WebSocket, from any server to any node. */
export async function portForward(api: ApiRequest, forward: PortForwarder): Promise<Response> {
  const { request, target, namespace } = api;
  const stored = await api.resource.get(namespace, target.name);
  const pod = stored.object as Pod;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw badRequest("Upgrade request required: ports are forwarded over a WebSocket");
  }
  if (pod.status?.phase !== "Running" || (pod.status.podIP ?? "") === "") {
    const phase = pod.status?.phase ?? "Unknown";
    throw badRequest(`unable to forward port because pod is not running. Current status=${phase}`);
  }
  const answer = forward(request, pod);
  if (answer === undefined) throw badRequest("this connection cannot become a WebSocket");
  return answer;
}
