import type { Socket, TCPSocketConnectOptions } from "bun";
import type { CancelTimer, Clock } from "../../lib/index.ts";
import type { PeerIdentity, TunnelHandler, TunnelTarget } from "./node-link.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { answerLine, type Refusal } from "./peer-listener.ts";
import { PEER_SOCKET_EVENTS, PeerSocket, type SocketUser } from "./peer-socket.ts";

/** Tunnels into this node at once; more are refused. */
export const MAX_TUNNELS = 4_096;
/** A pod's socket on this machine answers at once or not at all. */
export const ENDPOINT_DEADLINE_MS = 2_000;
/** The system asks a silent peer whether it is there. */
const KEEP_ALIVE_AFTER_MS = 15_000;

/** Joins verified peers' connections to the sockets of this node's pods. */
export class TunnelServer {
  readonly #clock: Clock;
  readonly #maxTunnels: number;
  readonly #tunnels = new Set<Tunnel>();
  handler: TunnelHandler | undefined;

  constructor(clock: Clock, { tunnels = MAX_TUNNELS }: PeerLimits = {}) {
    this.#clock = clock;
    this.#maxTunnels = tunnels;
  }

  get size(): number {
    return this.#tunnels.size;
  }

  accept(connection: PeerSocket, target: TunnelTarget, peer: PeerIdentity): Refusal | undefined {
    if (this.#tunnels.size >= this.#maxTunnels)
      return { refused: `${this.#maxTunnels} tunnels are open`, temporary: true };
    const place = this.handler?.(target, peer);
    if (place === undefined)
      return { refused: `no pod here serves ${target.ip}:${target.port}`, temporary: true };
    const tunnel: Tunnel = new Tunnel(connection, this.#clock, () => this.#tunnels.delete(tunnel));
    this.#tunnels.add(tunnel);
    tunnel.connect(place);
    return undefined;
  }

  close(): void {
    for (const tunnel of this.#tunnels) tunnel.cut();
  }
}

/** Bytes pass as they come; either side may end first, and a slow one slows the other down. */
class Tunnel {
  readonly #remote: PeerSocket;
  readonly #local: PeerSocket;
  readonly #onGone: () => void;
  readonly #cancelDeadline: CancelTimer;
  #open = false;
  #gone = false;

  constructor(remote: PeerSocket, clock: Clock, onGone: () => void) {
    this.#remote = remote;
    this.#onGone = onGone;
    this.#local = new PeerSocket(
      this.#side(
        () => this.#remote,
        () => this.#local,
      ),
    );
    remote.user = this.#side(
      () => this.#local,
      () => this.#remote,
    );
    this.#cancelDeadline = clock.after(ENDPOINT_DEADLINE_MS, () => {
      if (!this.#open) this.#refuse("the pod does not take the connection");
    });
  }

  connect(place: string | TunnelTarget): void {
    const options = {
      allowHalfOpen: true,
      data: this.#local,
      socket: {
        ...PEER_SOCKET_EVENTS,
        open: (socket: Socket<PeerSocket>) => {
          this.#local.attach(socket);
          if (this.#gone) return;
          this.#open = true;
          this.#cancelDeadline();
          this.#remote.socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
          this.#remote.write(answerLine({ ok: true }));
        },
        connectError: () => this.#refuse("the pod does not listen on this port"),
      },
    } satisfies Omit<TCPSocketConnectOptions<PeerSocket>, "hostname" | "port">;
    const connecting =
      typeof place === "string"
        ? Bun.connect<PeerSocket>({ ...options, unix: place })
        : Bun.connect<PeerSocket>({ ...options, hostname: place.ip, port: place.port });
    // Bun tells a failure twice: by connectError, which acts, and by this promise.
    connecting.catch(() => this.#refuse("the pod does not listen on this port"));
  }

  cut(): void {
    if (!this.#leave()) return;
    this.#remote.destroy();
    this.#local.destroy();
  }

  #refuse(reason: string): void {
    if (!this.#leave()) return;
    this.#remote.write(answerLine({ ok: false, reason }));
    this.#remote.finishAndClose();
    this.#local.destroy();
  }

  /** What one side says goes to the other. */
  #side(other: () => PeerSocket, own: () => PeerSocket): SocketUser {
    return {
      onData: (chunk) => {
        // Before the answer nothing may be said: the peer does not follow the protocol.
        if (!this.#open) this.cut();
        else if (!other().write(chunk)) own().pause();
      },
      onDrain: () => other().resume(),
      onEnd: () => {
        if (this.#open) other().finish();
        else this.cut();
      },
      onClose: (error) => {
        if (!this.#leave()) return;
        // A reset stays a reset; a peer that left in order gets all that was said before.
        if (error === undefined && this.#open) other().finishAndClose();
        else other().destroy();
      },
    };
  }

  /** False when the tunnel was over already. */
  #leave(): boolean {
    if (this.#gone) return false;
    this.#gone = true;
    this.#cancelDeadline();
    this.#onGone();
    return true;
  }
}
