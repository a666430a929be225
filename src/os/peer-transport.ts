import type { CancelTimer, Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type {
  MemberId,
  Message,
  PeerHandlers,
  PeerTransport,
  SnapshotFile,
} from "../store/index.ts";
import { assert, unreachable } from "../lib/index.ts";
import type { KeyPair } from "./certificates.ts";
import { CalmWarnings } from "./peer/calm-warnings.ts";
import { HttpClient } from "./peer/http-client.ts";
import { HttpServer } from "./peer/http-server.ts";
import { MessageHub } from "./peer/message-hub.ts";
import type { MessageCodec } from "./peer/message-peer.ts";
import {
  ANY_PEER,
  type DialTunnel,
  type NodeLink,
  type PeerExpectation,
  type PeerHttpHandler,
  type PeerIdentity,
  type TunnelHandler,
} from "./peer/node-link.ts";
import { PeerDialer } from "./peer/peer-dialer.ts";
import { memberOf, mismatch } from "./peer/peer-identity.ts";
import type { PeerLimits } from "./peer/peer-limits.ts";
import { PeerListener, type Refusal, type TlsMaterial } from "./peer/peer-listener.ts";
import type { PeerSocket } from "./peer/peer-socket.ts";
import type { Preface } from "./peer/preface.ts";
import { SnapshotReceiver } from "./peer/snapshot-receiver.ts";
import { SnapshotSender } from "./peer/snapshot-sender.ts";
import { TunnelDialer } from "./peer/tunnel-dialer.ts";
import { TunnelServer } from "./peer/tunnel-server.ts";

export type { MessageCodec } from "./peer/message-peer.ts";

/** Idle and silent connections are looked for this often. */
const SWEEP_MS = 2_000;

export interface PeerTransportOptions {
  readonly identity: {
    /** Absent on an agent: it carries no messages, and `start` must not be called. */
    readonly memberId?: MemberId;
    readonly clusterId: string;
    /** Issued by `ca` for both usages, with the name PEER_SERVER_NAME. */
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
  readonly limits?: PeerLimits;
}

/**
 * One mutual-TLS listener for everything between the processes of a cluster. It is bound when this
 * returns; throws what binding throws (EADDRINUSE). `close` ends both the transport and the link.
 */
export function createPeerTransport(options: PeerTransportOptions): PeerTransport & NodeLink {
  return new TlsPeerTransport(options);
}

class TlsPeerTransport implements PeerTransport, NodeLink {
  readonly #options: PeerTransportOptions;
  readonly #dialer: PeerDialer;
  readonly #listener: PeerListener;
  readonly #httpServer: HttpServer;
  readonly #httpClient: HttpClient;
  readonly #tunnelServer: TunnelServer;
  readonly #tunnelDialer: TunnelDialer;
  readonly #hub: MessageHub | undefined;
  readonly #sender: SnapshotSender | undefined;
  readonly #warnings: CalmWarnings;
  #receiver: SnapshotReceiver | undefined;
  #isKnown: (peer: PeerIdentity) => boolean = () => true;
  #addresses: ReadonlyMap<MemberId, string> = new Map();
  #cancelSweep: CancelTimer | undefined;

  constructor(options: PeerTransportOptions) {
    this.#options = options;
    const { identity, clock, random, logger, codec, limits = {} } = options;
    const { memberId: self, clusterId } = identity;
    const tls = this.#material(identity.keyPair);
    const warnings = new CalmWarnings(logger, clock);
    this.#warnings = warnings;
    const dialer = new PeerDialer(tls, clock, limits);
    this.#dialer = dialer;
    this.#httpServer = new HttpServer(clock, logger, limits);
    this.#httpClient = new HttpClient(dialer, clock, clusterId, limits);
    this.#tunnelServer = new TunnelServer(clock, limits);
    this.#tunnelDialer = new TunnelDialer(dialer, clusterId);
    if (self !== undefined) {
      const common = { self, clusterId, dialer, clock, random };
      this.#hub = new MessageHub({ ...common, codec, logger, warnings, limits });
      this.#sender = new SnapshotSender({
        ...common,
        addressOf: (member) => this.#addresses.get(member),
      });
    }
    this.#listener = new PeerListener({
      hostname: options.listenHost,
      port: options.port,
      tls,
      clusterId,
      clock,
      warnings,
      limits,
      accept: (preface, peer, connection) => this.#accept(preface, peer, connection),
    });
    this.#sweepLater();
  }

  get port(): number {
    return this.#listener.port;
  }

  start(handlers: PeerHandlers, options: { readonly snapshotDirectory: string }): Promise<void> {
    assert(this.#hub !== undefined, "an agent carries no messages");
    this.#receiver = new SnapshotReceiver({
      directory: options.snapshotDirectory,
      handlers,
      clock: this.#options.clock,
      logger: this.#options.logger,
    });
    this.#hub.start(handlers);
    return Promise.resolve();
  }

  setPeers(peers: ReadonlyMap<MemberId, string>): void {
    this.#addresses = new Map(peers);
    this.#hub?.setPeers(this.#addresses);
  }

  send(to: MemberId, messages: readonly Message[]): void {
    this.#hub?.send(to, messages);
  }

  sendSnapshot(to: MemberId, file: SnapshotFile, signal: AbortSignal): Promise<void> {
    assert(this.#sender !== undefined, "an agent sends no snapshots");
    return this.#sender.send(to, file, signal);
  }

  serveHttp(handler: PeerHttpHandler): void {
    this.#httpServer.handler = handler;
  }

  serveTunnel(handler: TunnelHandler): void {
    this.#tunnelServer.handler = handler;
  }

  fetchFrom(address: string, expect: PeerExpectation): Fetch {
    return this.#httpClient.fetchFrom(address, expect);
  }

  readonly dialTunnel: DialTunnel = (address, target, data, handler, expect) =>
    this.#tunnelDialer.dial(address, target, data, handler, expect);

  admitOnly(isKnown: (peer: PeerIdentity) => boolean): () => void {
    this.#isKnown = isKnown;
    const look = (): void => {
      // One answer for all the connections of a certificate.
      const known = new Map<string, boolean>();
      this.#listener.cut(({ peer, protocol }) => {
        if (isMembersOwn(protocol)) return false;
        const verdict = known.get(peer.commonName) ?? isKnown(peer);
        known.set(peer.commonName, verdict);
        return !verdict;
      }, "the peer is not known here any more");
    };
    look();
    return look;
  }

  show(keyPair: KeyPair): void {
    const tls = this.#material(keyPair);
    this.#dialer.show(tls);
    this.#listener.show(tls);
  }

  close(): Promise<void> {
    this.#cancelSweep?.();
    this.#hub?.close();
    this.#sender?.close();
    this.#receiver?.close();
    this.#httpClient.close();
    this.#httpServer.close();
    this.#tunnelServer.close();
    this.#dialer.close();
    this.#listener.close();
    return Promise.resolve();
  }

  #accept(preface: Preface, peer: PeerIdentity, connection: PeerSocket): Refusal | undefined {
    const stranger = mismatch(peer, ANY_PEER);
    if (stranger !== undefined) return { refused: stranger };
    if (!isMembersOwn(preface.protocol) && !this.#isKnown(peer)) {
      const { commonName } = peer;
      this.#warnings.warn("a peer that is not known was refused", { peer: commonName });
      // This process may not have heard of it yet.
      return { refused: `${commonName} is not known here`, temporary: true };
    }
    switch (preface.protocol) {
      case "http":
        return this.#httpServer.accept(connection, peer);
      case "tunnel":
        return this.#tunnelServer.accept(connection, preface, peer);
      case "messages":
      case "snapshot":
        return this.#acceptMember(preface, peer, connection);
      default:
        return unreachable(preface);
    }
  }

  #acceptMember(
    preface: Extract<Preface, { protocol: "messages" | "snapshot" }>,
    peer: PeerIdentity,
    connection: PeerSocket,
  ): Refusal | undefined {
    const { memberId: self } = this.#options.identity;
    const from = memberOf(peer);
    if (from === undefined || from !== preface.from) {
      return { refused: `the certificate is ${peer.commonName}'s, not member ${preface.from}'s` };
    }
    if (self !== preface.to) return { refused: `this is not member ${preface.to}` };
    if (this.#hub === undefined || this.#receiver === undefined) {
      return { refused: "this member starts", temporary: true };
    }
    return preface.protocol === "messages"
      ? this.#hub.accept(from, connection)
      : this.#receiver.accept(preface, from, connection);
  }

  #material({ certificate: cert, privateKey: key }: KeyPair): TlsMaterial {
    return { cert, key, ca: this.#options.identity.ca };
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => {
      this.#sweepLater();
      this.#httpClient.sweep();
      this.#httpServer.sweep();
      this.#sender?.sweep();
      this.#receiver?.sweep();
    });
  }
}

/** What members say to each other as such. */
function isMembersOwn(protocol: Preface["protocol"]): boolean {
  return protocol === "messages" || protocol === "snapshot";
}
