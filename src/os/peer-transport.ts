import type { Clock, Logger, Random } from "../lib/index.ts";
import type { MemberId, Message, PeerTransport } from "../store/index.ts";
import type { KeyPair } from "./certificates.ts";
import type { NodeLink } from "./peer/node-link.ts";

/** How messages look on the wire; the consensus core's room has it. */
export interface MessageCodec {
  encode(message: Message): Uint8Array;
  /** Throws on anything that is not a message. */
  decode(bytes: Uint8Array): Message;
}

export interface PeerTransportOptions {
  readonly identity: {
    /** Absent on an agent: it carries no messages, and `start` must not be called. */
    readonly memberId?: MemberId;
    readonly clusterId: string;
    /** Issued by `ca` for both uses, with the name {@link PEER_SERVER_NAME}. */
    readonly keyPair: KeyPair;
    /** PEM; may hold several. */
    readonly ca: string;
  };
  readonly listenHost: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly codec: MessageCodec;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * One mutual-TLS listener for everything between the processes of a cluster. It is bound when this
 * returns; throws what binding throws (EADDRINUSE). `close` ends both the transport and the link.
 */
export function createPeerTransport(options: PeerTransportOptions): PeerTransport & NodeLink {
  throw new Error(`not there yet: ${options.listenHost}`);
}
