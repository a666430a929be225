import type { MemberId, Message, RaftCore } from "../raft/index.ts";
import { bestSuccessor } from "./best-successor.ts";
import type { GroupRecord } from "./group-record.ts";
import type { PeerTransport } from "./peer-transport.ts";

export interface OutboxOptions {
  readonly core: RaftCore;
  readonly transport: PeerTransport | undefined;
  /** State by wire goes its own way. */
  readonly sendSnapshot: (to: MemberId) => void;
}

/** What leaves for the peers; nothing of it ever waits. */
export class Outbox {
  readonly #options: OutboxOptions;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Messages to one peer leave together, in order. */
  send(messages: readonly Message[]): void {
    const { transport, sendSnapshot } = this.#options;
    if (messages.length === 0 || transport === undefined) return;
    const byPeer = new Map<MemberId, Message[]>();
    for (const message of messages) {
      const known = byPeer.get(message.to);
      if (message.type === "install-snapshot") sendSnapshot(message.to);
      else if (known === undefined) byPeer.set(message.to, [message]);
      else known.push(message);
    }
    for (const [to, list] of byPeer) transport.send(to, list);
  }

  setPeers(group: GroupRecord): void {
    const { transport, core } = this.#options;
    if (transport === undefined || group.members.length === 0) return;
    const others = group.members.filter((member) => member.id !== core.id);
    transport.setPeers(new Map(others.map((member) => [member.id, member.peerAddress])));
  }

  /** A leader that cannot go on asks the best of the others to lead. */
  handOver(): void {
    const { core } = this.#options;
    const successor = core.role === "leader" ? bestSuccessor(core.status()) : undefined;
    if (successor !== undefined) this.askToCampaign(successor);
  }

  /** Sent past the core, which has nothing to add: at worst an election comes to nothing. */
  askToCampaign(to: MemberId): void {
    const { id: from, term } = this.#options.core;
    this.#options.transport?.send(to, [{ type: "timeout-now", from, to, term }]);
  }
}
