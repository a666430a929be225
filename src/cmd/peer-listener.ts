import { createPeerTransport } from "../os/index.ts";
import type { NodeLink, PeerTransportOptions } from "../os/index.ts";
import { decodeMessage, encodeMessage } from "../raft/index.ts";
import type { PeerTransport } from "../store/index.ts";
import type { Ground } from "./ground.ts";
import { withChosenPort } from "./listeners.ts";
import type { PortChoice } from "./listeners.ts";

/** Listens for the cluster's other machines; an agent is no member, and carries no messages. */
export function listenForPeers(
  { clock, random, logger }: Pick<Ground, "clock" | "random" | "logger">,
  where: { readonly hostname: string; readonly choice: PortChoice },
  identity: PeerTransportOptions["identity"],
): PeerTransport & NodeLink {
  return withChosenPort(where.hostname, where.choice, (port) =>
    createPeerTransport({
      identity,
      listenHost: where.hostname,
      port,
      codec: { encode: encodeMessage, decode: decodeMessage },
      clock,
      random,
      logger: logger.child({ room: "peers" }),
    }),
  );
}
