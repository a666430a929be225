import type { Clock, Fetch } from "../../../src/lib/index.ts";
import type {
  MemberId,
  Message,
  PeerHandlers,
  PeerTransport,
  SnapshotFile,
} from "../../../src/store/index.ts";
import type { Prng } from "../core/prng.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import type { Timeline } from "./timeline.ts";

/** A connection without answers is given up after this. */
const BROKEN_AFTER_MS = 3_000;
const SNAPSHOT_CHUNK_BYTES = 64 * 1_024;
const MAX_DUPLICATE_DELAY_MS = 500;

/** A running process at the network; gone when it dies. */
export interface Endpoint {
  readonly member: MemberId;
  readonly clock: Clock;
  handlers: PeerHandlers | undefined;
  /** Answers what another server forwards. */
  forwarded: ((request: Request, from: MemberId) => Promise<Response>) | undefined;
  /** Takes a file that travels with the state; where `onSnapshot` finds it. */
  receiveFile: (path: string, bytes: Uint8Array) => Promise<void>;
  snapshotDirectory: string;
  /** Rejects when the process dies, as its connections do. */
  readonly lost: PromiseWithResolvers<never>;
}

/** An error of a connection, as src/os says it: whether the other end may have seen the request. */
export function connectionError(message: string, delivered: boolean): Error {
  return Object.assign(new Error(message), { delivered });
}

/** All wires between servers: messages, snapshots and forwarded requests. */
export class SimNetwork {
  /** Per mille of messages. */
  loss = 0;
  duplication = 0;
  /** The longest extra delay, in milliseconds. */
  jitterMs = 0;
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #statistics: ClusterStatistics;
  readonly #endpoints = new Map<MemberId, Endpoint>();
  readonly #cut = new Set<string>();
  /** Told of every message, for the trace. */
  readonly #onMessage: (from: MemberId, to: MemberId, message: Message) => void;

  constructor(options: {
    readonly timeline: Timeline;
    readonly prng: Prng;
    readonly statistics: ClusterStatistics;
    readonly onMessage: (from: MemberId, to: MemberId, message: Message) => void;
  }) {
    this.#timeline = options.timeline;
    this.#prng = options.prng;
    this.#statistics = options.statistics;
    this.#onMessage = options.onMessage;
  }

  attach(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.member, endpoint);
    this.#tellAll(endpoint.member, "onPeerUp");
  }

  /** The process died: the others' connections break at once, where wires carry that. */
  detach(endpoint: Endpoint): void {
    if (this.#endpoints.get(endpoint.member) !== endpoint) return;
    this.#endpoints.delete(endpoint.member);
    endpoint.lost.reject(connectionError(`the connection to ${endpoint.member} broke`, true));
    this.#tellAll(endpoint.member, "onPeerDown");
  }

  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(): void {
    this.#cut.clear();
  }

  calm(): void {
    this.loss = 0;
    this.duplication = 0;
    this.jitterMs = 0;
  }

  isCut(from: MemberId, to: MemberId): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  /** Milliseconds from one process to another. */
  delay(): number {
    return 1 + this.#prng.below(3) + (this.jitterMs > 0 ? this.#prng.below(this.jitterMs) : 0);
  }

  transport(endpoint: Endpoint): PeerTransport {
    return {
      start: (handlers, { snapshotDirectory }) => {
        endpoint.handlers = handlers;
        endpoint.snapshotDirectory = snapshotDirectory;
        return Promise.resolve();
      },
      setPeers: () => undefined,
      send: (to, messages) => {
        for (const message of messages) this.#send(endpoint, to, message);
      },
      sendSnapshot: (to, file, signal) => this.#sendSnapshot(endpoint, to, file, signal),
      close: () => {
        this.detach(endpoint);
        return Promise.resolve();
      },
    };
  }

  /** The way to another server's peer port. */
  fetchTo(from: Endpoint, to: MemberId): Fetch {
    return (request) => this.#request(from, to, request);
  }

  #send(from: Endpoint, to: MemberId, message: Message): void {
    const { member } = from;
    if (this.#endpoints.get(member) !== from) return;
    if (this.isCut(member, to) || this.#prng.permille(this.loss)) {
      this.#statistics.count("message lost");
      return;
    }
    this.#deliverLater(member, to, message, this.delay());
    if (!this.#prng.permille(this.duplication)) return;
    this.#statistics.count("message duplicated");
    this.#deliverLater(member, to, message, this.#prng.below(MAX_DUPLICATE_DELAY_MS));
  }

  #deliverLater(from: MemberId, to: MemberId, message: Message, delayMs: number): void {
    const endpoint = this.#endpoints.get(to);
    if (endpoint === undefined) return;
    this.#statistics.count("message sent");
    // By the receiver's clock: a paused process reads it when it goes on.
    endpoint.clock.after(delayMs, () => {
      this.#onMessage(from, to, message);
      endpoint.handlers?.onMessages(from, [message]);
    });
  }

  async #sendSnapshot(
    from: Endpoint,
    to: MemberId,
    file: SnapshotFile,
    signal: AbortSignal,
  ): Promise<void> {
    this.#statistics.count("snapshot sent");
    const bytes = new Uint8Array(file.bytes);
    for (let at = 0; at < file.bytes;) {
      await this.#timeline.wait(this.delay());
      if (signal.aborted) throw new Error("the transfer was called off");
      const chunk = await file.read(at, Math.min(SNAPSHOT_CHUNK_BYTES, file.bytes - at));
      bytes.set(chunk, at);
      at += chunk.length;
    }
    await this.#hop(from.member, to);
    const receiver = this.#endpoints.get(to);
    if (receiver?.handlers === undefined) throw new Error(`member ${to} does not answer`);
    const path = `${receiver.snapshotDirectory}/${file.id}`;
    const { handlers } = receiver;
    const taken = receiver
      .receiveFile(path, bytes)
      .then(() => handlers.onSnapshot(from.member, { point: file.point, path }));
    await Promise.race([taken, receiver.lost.promise]);
    await this.#hop(to, from.member);
    this.#statistics.count("snapshot installed");
  }

  async #request(from: Endpoint, to: MemberId, request: Request): Promise<Response> {
    this.#statistics.count("request forwarded");
    await this.#hop(from.member, to, { delivered: false });
    const receiver = this.#endpoints.get(to);
    if (receiver?.forwarded === undefined) {
      throw connectionError(`member ${to} refuses the connection`, false);
    }
    await new Promise<void>((resolve) => receiver.clock.after(0, resolve));
    const answer = receiver.forwarded(request, from.member);
    const response = await Promise.race([answer, receiver.lost.promise]);
    await this.#hop(to, from.member);
    return response;
  }

  /** One way over the wire; a cut one costs the time until somebody gives up. */
  async #hop(from: MemberId, to: MemberId, error = { delivered: true }): Promise<void> {
    if (this.isCut(from, to) || this.isCut(to, from)) {
      await this.#timeline.wait(BROKEN_AFTER_MS);
      throw connectionError(`the connection from ${from} to ${to} is broken`, error.delivered);
    }
    await this.#timeline.wait(this.delay());
  }

  #tellAll(member: MemberId, what: "onPeerUp" | "onPeerDown"): void {
    for (const other of this.#endpoints.values()) {
      if (other.member === member) continue;
      if (this.isCut(member, other.member) || this.isCut(other.member, member)) continue;
      other.clock.after(this.delay(), () => other.handlers?.[what](member));
    }
  }
}
