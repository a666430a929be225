import type { MemberId, Message } from "../raft/index.ts";
import type { PeerTransport } from "./peer-transport.ts";

/** Sends messages, those to one peer together and in order; state by wire goes its own way. */
export function sendByPeer(
  messages: readonly Message[],
  transport: PeerTransport,
  sendSnapshot: (to: MemberId) => void,
): void {
  const byPeer = new Map<MemberId, Message[]>();
  for (const message of messages) {
    if (message.type === "install-snapshot") sendSnapshot(message.to);
    else {
      const known = byPeer.get(message.to);
      if (known === undefined) byPeer.set(message.to, [message]);
      else known.push(message);
    }
  }
  for (const [to, list] of byPeer) transport.send(to, list);
}
