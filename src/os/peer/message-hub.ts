import type { CancelTimer, Clock, Logger, Random } from "../../lib/index.ts";
import type { MemberId, PeerHandlers } from "../../store/index.ts";
import type { CalmWarnings } from "./calm-warnings.ts";
import { KEEP_ALIVE_MS, MessagePeer, type DialOutcome, type MessageCodec } from "./message-peer.ts";
import { SERVERS_GROUP } from "./node-link.ts";
import type { PeerDialer } from "./peer-dialer.ts";
import { memberName } from "./peer-identity.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { answerLine, type Refusal } from "./peer-listener.ts";
import type { PeerSocket } from "./peer-socket.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

/** Members that dialled us and that we have not heard of: this one may lag behind the group. */
export const MAX_STRANGERS = 16;

export interface MessageHubOptions {
  readonly self: MemberId;
  readonly clusterId: string;
  readonly codec: MessageCodec;
  readonly dialer: PeerDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly warnings: CalmWarnings;
  readonly limits?: PeerLimits;
}

/** The messages' side of the transport: one peer each for the other members. */
export class MessageHub {
  readonly #options: MessageHubOptions;
  readonly #peers = new Map<MemberId, MessagePeer>();
  #addresses: ReadonlyMap<MemberId, string> = new Map();
  #handlers: PeerHandlers | undefined;
  #cancelTick: CancelTimer | undefined;
  #tickedMs = 0;
  #closed = false;

  constructor(options: MessageHubOptions) {
    this.#options = options;
  }

  start(handlers: PeerHandlers): void {
    this.#handlers = handlers;
    this.#tickedMs = this.#options.clock.monotonic();
    this.#tickLater();
    this.setPeers(this.#addresses);
  }

  setPeers(addresses: ReadonlyMap<MemberId, string>): void {
    this.#addresses = addresses;
    if (this.#handlers === undefined || this.#closed) return;
    for (const [id, peer] of this.#peers) {
      if (addresses.has(id)) continue;
      this.#peers.delete(id);
      peer.close();
    }
    for (const [id, address] of addresses) {
      if (id !== this.#options.self) this.#peerOf(id).setAddress(address);
    }
  }

  send(to: MemberId, messages: Parameters<MessagePeer["send"]>[0]): void {
    this.#peers.get(to)?.send(messages);
  }

  accept(from: MemberId, connection: PeerSocket): Refusal | undefined {
    if (this.#handlers === undefined || this.#closed)
      return { refused: "this member starts", temporary: true };
    if (!this.#peers.has(from)) {
      const strangers = [...this.#peers.keys()].filter((id) => !this.#addresses.has(id)).length;
      if (strangers >= (this.#options.limits?.strangers ?? MAX_STRANGERS))
        return { refused: "too many unknown members", temporary: true };
    }
    connection.write(answerLine({ ok: true }));
    this.#peerOf(from).accept(connection);
    return undefined;
  }

  /** Bytes that wait for this peer. */
  queuedBytes(to: MemberId): number {
    return this.#peers.get(to)?.queuedBytes ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#cancelTick?.();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  #peerOf(id: MemberId): MessagePeer {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const { self, codec, clock, random, logger } = this.#options;
    const peer: MessagePeer = new MessagePeer({
      self,
      id,
      codec,
      clock,
      random,
      dial: (address, outcome) => this.#dial(id, address, outcome),
      onMessages: (messages) => {
        if (this.#peers.get(id) === peer) this.#handlers?.onMessages(id, messages);
      },
      onUp: () => {
        logger.info("connected to a peer", { peer: id });
        this.#handlers?.onPeerUp(id);
      },
      onDown: () => this.#handlers?.onPeerDown(id),
      onBroken: (reason) => logger.info("the connection to a peer broke", { peer: id, reason }),
      onForgotten: () => {
        if (this.#peers.get(id) === peer) this.#peers.delete(id);
      },
    });
    this.#peers.set(id, peer);
    return peer;
  }

  #dial(to: MemberId, address: string, outcome: DialOutcome): () => void {
    const { dialer, self, clusterId, warnings } = this.#options;
    return dialer.dial({
      address,
      expect: { commonName: memberName(to), organizations: [SERVERS_GROUP] },
      preface: {
        protocol: "messages",
        version: PROTOCOL_VERSION,
        cluster: clusterId,
        from: self,
        to,
      },
      onDialled: ({ connection, rest }) => outcome.onDialled(connection, rest),
      onFailure: (error) => {
        const refused = error.code === "refused";
        const message = refused ? "a peer refuses us, or is another one" : "cannot reach a peer";
        warnings.warn(message, { peer: to, reason: error.message });
        outcome.onFailure({ refused });
      },
    });
  }

  #tickLater(): void {
    this.#cancelTick = this.#options.clock.after(KEEP_ALIVE_MS, () => {
      const nowMs = this.#options.clock.monotonic();
      // A process that was stopped heard nobody: that says nothing of its peers.
      const late = nowMs - this.#tickedMs > 2 * KEEP_ALIVE_MS;
      this.#tickedMs = nowMs;
      this.#tickLater();
      for (const peer of this.#peers.values()) peer.tick({ late });
    });
  }
}
