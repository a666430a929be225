import type { Pod } from "../../../api/index.ts";
import { badRequest } from "../../../apimachinery/index.ts";
import type { ApiRequest } from "../../api-request.ts";
import {
  agreedProtocol,
  type ConnectionUpgrader,
  takeOverForSpdy,
  upgradedAnswer,
  wantedUpgrade,
} from "./connection-upgrade.ts";
import { servePortForward, spdyInMessages, spdyOverSocket } from "./forwarded-ports.ts";
import { openNodeStream } from "./node-stream.ts";

/** The WebSocket subprotocol under which kubectl (since 1.31) forwards ports. */
export const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";
const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";

/** `pods/portforward`: connections to ports of a pod, from any server to any node. */
export async function portForward(
  api: ApiRequest,
  upgrader: ConnectionUpgrader,
): Promise<Response> {
  const { request, target, namespace, context } = api;
  const stored = await api.resource.get(namespace, target.name);
  const pod = stored.object as Pod;
  const wanted = wantedUpgrade(request);
  const phase = pod.status?.phase ?? "Unknown";
  if (phase !== "Running") {
    throw badRequest(`unable to forward port because pod is not running. Current status=${phase}`);
  }
  const { namespace: ns = "", name = "", uid = "" } = pod.metadata;
  const words = ["portForward", ns, name, uid].map(encodeURIComponent);
  const options = {
    dial: (port: number) =>
      openNodeStream(context, {
        node: pod.spec?.nodeName ?? "",
        path: `/${words.join("/")}?port=${port}`,
        what: "pods/portforward",
      }),
  };
  if (wanted.type === "spdy") {
    const protocol = agreedProtocol(wanted.offered, [PORT_FORWARD_PROTOCOL]);
    return takeOverForSpdy(upgrader, request, {
      protocol,
      open: (socket) => servePortForward(spdyOverSocket(socket), options),
    });
  }
  const protocol = agreedProtocol(wanted.offered, [PORT_FORWARD_TUNNEL]);
  return upgradedAnswer(
    upgrader.upgrade(request, {
      protocol,
      open(socket) {
        const { data, drained, closed } = servePortForward(spdyInMessages(socket), options);
        return { message: data, drained, closed };
      },
    }),
  );
}
