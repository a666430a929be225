import type { CancelTimer, Clock } from "../../lib/index.ts";
import { PEER_SERVER_NAME, type PeerExpectation } from "./node-link.ts";
import { PeerError } from "./peer-error.ts";
import { identityOf, mismatch } from "./peer-identity.ts";
import type { PeerLimits } from "./peer-limits.ts";
import type { TlsMaterial } from "./peer-listener.ts";
import { PEER_SOCKET_EVENTS, PeerSocket, type SocketUser } from "./peer-socket.ts";
import { LineReader, parseAnswer, type Preface, type PrefaceAnswer } from "./preface.ts";

/**
 * From dialling to the answer to the preface. The system repeats a lost SYN after one second: a
 * second one may get through within the deadline.
 */
export const DIAL_DEADLINE_MS = 2_000;
/**
 * Attempts under way at once. One that ran into its deadline counts until the system gives up
 * (about two minutes): Bun cannot take a connect back.
 */
export const MAX_DIALS = 1_024;

/** What an answered dial gives. */
export interface Dialled {
  readonly connection: PeerSocket;
  readonly answer: Extract<PrefaceAnswer, { ok: true }>;
  /** What came right behind the answer; the user hears of it first. */
  readonly rest: Buffer;
}

export interface DialOptions {
  /** "host:port"; an IPv6 host in brackets. */
  readonly address: string;
  readonly preface: Preface;
  readonly expect: PeerExpectation;
  /** Must give the connection its user; the socket's events go there from now on. */
  readonly onDialled: (dialled: Dialled) => void;
  /** Told once, and nothing else then. */
  readonly onFailure: (error: PeerError) => void;
}

/** Opens connections to peers and makes sure of who is there before anything is said. */
export class PeerDialer {
  #tls: TlsMaterial;
  readonly #clock: Clock;
  readonly #maxDials: number;
  /** Not connected yet; a dial that gave up stays here until the system gives up too. */
  readonly #connecting = new Set<Dial>();
  /** Neither answered nor failed yet. */
  readonly #unsettled = new Set<Dial>();
  #closed = false;

  constructor(tls: TlsMaterial, clock: Clock, { dials = MAX_DIALS }: PeerLimits = {}) {
    this.#tls = tls;
    this.#clock = clock;
    this.#maxDials = dials;
  }

  /** Shows another certificate from the next connection on. */
  show(tls: TlsMaterial): void {
    this.#tls = tls;
  }

  /** Gives the way to give up, without a word to the handlers. */
  dial(options: DialOptions): () => void {
    const place = parseAddress(options.address);
    if (place === undefined || this.#closed || this.#connecting.size >= this.#maxDials) {
      const error =
        place === undefined
          ? new PeerError("unreachable", `${JSON.stringify(options.address)} is not host:port`)
          : this.#closed
            ? new PeerError("closed", "the link is closed")
            : new PeerError("overloaded", `${this.#maxDials} dials are under way`);
      queueMicrotask(() => options.onFailure(error));
      return () => undefined;
    }
    const dial: Dial = new Dial(options, this.#clock, () => this.#unsettled.delete(dial));
    this.#connecting.add(dial);
    this.#unsettled.add(dial);
    const connecting = Bun.connect<PeerSocket>({
      ...place,
      allowHalfOpen: true,
      data: dial.connection,
      tls: { ...this.#tls, serverName: PEER_SERVER_NAME, rejectUnauthorized: true },
      socket: {
        ...PEER_SOCKET_EVENTS,
        open: (socket) => {
          this.#connecting.delete(dial);
          dial.connection.attach(socket);
        },
        connectError: (_socket, error) => {
          this.#connecting.delete(dial);
          queueMicrotask(() => dial.fail("unreachable", error.message));
        },
      },
    });
    // Bun tells a failure twice: by connectError, which acts, and by this promise.
    connecting.catch((error: unknown) => {
      this.#connecting.delete(dial);
      dial.fail("unreachable", String(error));
    });
    return () => dial.giveUp();
  }

  close(): void {
    this.#closed = true;
    for (const dial of this.#unsettled) dial.fail("closed", "the link is closed");
  }
}

class Dial implements SocketUser {
  readonly connection: PeerSocket;
  readonly #options: DialOptions;
  readonly #clock: Clock;
  readonly #onSettled: () => void;
  readonly #line = new LineReader();
  readonly #cancelDeadline: CancelTimer;
  #settled = false;

  constructor(options: DialOptions, clock: Clock, onSettled: () => void) {
    this.#options = options;
    this.#clock = clock;
    this.#onSettled = onSettled;
    this.connection = new PeerSocket(this);
    this.#cancelDeadline = clock.after(DIAL_DEADLINE_MS, () =>
      this.fail("unreachable", `no answer within ${DIAL_DEADLINE_MS} ms`),
    );
  }

  onHandshake(error: Error | undefined): void {
    if (this.#settled) return;
    const peer =
      error === undefined ? identityOf(this.connection.socket, this.#clock.now()) : undefined;
    const wrong =
      peer === undefined
        ? (error?.message ?? "its certificate names nobody, or expired")
        : mismatch(peer, this.#options.expect);
    if (wrong !== undefined) {
      this.fail("refused", wrong);
      return;
    }
    this.connection.write(Buffer.from(`${JSON.stringify(this.#options.preface)}\n`));
  }

  onData(chunk: Buffer): void {
    if (this.#settled) return;
    let answer: PrefaceAnswer;
    let rest: Buffer;
    try {
      const read = this.#line.push(chunk);
      if (read === undefined) return;
      answer = parseAnswer(read.line);
      rest = read.rest;
    } catch (error) {
      this.fail("refused", error instanceof Error ? error.message : String(error));
      return;
    }
    if (!answer.ok) {
      this.fail(answer.temporary === true ? "unreachable" : "refused", answer.reason);
      return;
    }
    this.#settle();
    this.#options.onDialled({ connection: this.connection, answer, rest });
  }

  onDrain(): void {
    // Nothing waits for it.
  }

  onEnd(): void {
    // It went away, or refuses our certificate: TLS 1.3 tells that only after the handshake.
    this.fail("unreachable", "the peer ended the connection without an answer");
  }

  onClose(error: Error | undefined): void {
    this.fail("unreachable", error?.message ?? "the connection was closed");
  }

  fail(code: "unreachable" | "refused" | "closed", reason: string): void {
    if (this.#settled) return;
    this.#settle();
    this.connection.destroy();
    this.#options.onFailure(new PeerError(code, `${this.#options.address}: ${reason}`));
  }

  giveUp(): void {
    if (this.#settled) return;
    this.#settle();
    this.connection.destroy();
  }

  #settle(): void {
    this.#settled = true;
    this.#cancelDeadline();
    this.#onSettled();
  }
}

/** Host and port of "host:port" or "[v6]:port". */
function parseAddress(address: string): { hostname: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  const hostname = match?.[1] ?? match?.[2];
  if (hostname === undefined || port < 1 || port > 65_535) return undefined;
  return { hostname, port };
}
