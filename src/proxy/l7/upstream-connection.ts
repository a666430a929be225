import type { Socket, SocketHandler } from "bun";
import { HeadReader, Outlet } from "../../lib/index.ts";
import type { EndpointState } from "../net/endpoint-states.ts";
import { TlsDialError } from "../net/tls-dial.ts";
import type { EgressErrorCode } from "./egress-error.ts";

/** What a connection to an endpoint tells whoever uses it at the moment. */
export interface UpstreamUser {
  onUpstreamOpen(): void;
  onUpstreamData(chunk: Buffer): void;
  onUpstreamDrain(): void;
  /** The endpoint ended its writing side. */
  onUpstreamEnd(): void;
  /** `connected` false: it never came up. */
  onUpstreamClose(): void;
}

/** Heads of responses larger than this are a fault of the endpoint. */
export const MAX_RESPONSE_HEAD_BYTES = 64 * 1024;

type UpstreamState = "connecting" | "busy" | "idle" | "closed";

/** One connection to an endpoint: used by one exchange at a time, in a pool between them. */
export class UpstreamConnection {
  readonly reader = new HeadReader(MAX_RESPONSE_HEAD_BYTES);
  readonly endpoint: EndpointState;
  /** How many exchanges began on it. */
  uses = 0;
  /** On the monotonic clock, when it went idle or began to connect. */
  sinceMs: number;
  state: UpstreamState = "connecting";
  /** Why it never came up, when that is known. */
  failure: EgressErrorCode | undefined;
  #user: UpstreamUser | undefined;
  #socket: Socket<UpstreamConnection> | undefined;
  #outlet: Outlet | undefined;
  readonly #onGone: (connection: UpstreamConnection) => void;

  constructor(
    endpoint: EndpointState,
    nowMs: number,
    onGone: (connection: UpstreamConnection) => void,
  ) {
    this.endpoint = endpoint;
    this.sinceMs = nowMs;
    this.#onGone = onGone;
  }

  get connected(): boolean {
    return this.state === "busy" || this.state === "idle";
  }

  use(user: UpstreamUser): void {
    this.#user = user;
    this.uses++;
    if (this.state === "idle") this.state = "busy";
  }

  /** Back to the pool: whatever the endpoint says from now on is unasked for. */
  rest(nowMs: number): void {
    this.#user = undefined;
    this.state = "idle";
    this.sinceMs = nowMs;
  }

  write(bytes: Uint8Array): boolean {
    return this.#outlet?.write(bytes) ?? true;
  }

  get writable(): boolean {
    return this.#outlet?.empty ?? false;
  }

  finish(): void {
    this.#outlet?.finish();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Gives up a connection that has not come up. */
  fail(code: EgressErrorCode): void {
    this.failure ??= code;
    this.onClose();
    this.#socket?.terminate();
  }

  /** Cuts the connection without a word to its user. */
  destroy(): void {
    this.#user = undefined;
    if (this.state === "closed") return;
    this.state = "closed";
    this.#socket?.terminate();
    this.#onGone(this);
  }

  onOpen(socket: Socket<UpstreamConnection>): void {
    if (this.state === "closed") {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#outlet = new Outlet(socket);
    this.state = "busy";
    this.#user?.onUpstreamOpen();
  }

  onData(chunk: Buffer): void {
    if (this.#user === undefined) this.destroy();
    else this.#user.onUpstreamData(chunk);
  }

  onDrain(): void {
    if (this.#outlet?.flush() === true) this.#user?.onUpstreamDrain();
  }

  onEnd(): void {
    if (this.#user === undefined) this.destroy();
    else this.#user.onUpstreamEnd();
  }

  onClose(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    const user = this.#user;
    this.#user = undefined;
    this.#onGone(this);
    user?.onUpstreamClose();
  }
}

/** One set of callbacks for all connections to endpoints. */
export const UPSTREAM_HANDLER: SocketHandler<UpstreamConnection> = {
  open: (socket) => socket.data.onOpen(socket),
  data: (socket, chunk) => socket.data.onData(chunk),
  drain: (socket) => socket.data.onDrain(),
  end: (socket) => socket.data.onEnd(),
  close: (socket) => socket.data.onClose(),
  error: (socket) => socket.terminate(),
  // Bun may tell this before Bun.connect returned, when nobody is ready to hear it.
  connectError: (socket, error) =>
    queueMicrotask(() => {
      socket.data.failure ??= connectFailure(error);
      socket.data.onClose();
    }),
};

function connectFailure(error: Error): EgressErrorCode | undefined {
  if (error instanceof TlsDialError) return error.code;
  switch ("code" in error ? error.code : undefined) {
    case "ETIMEDOUT":
      return "connection-timeout";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
      return "destination-unavailable";
    default:
      return undefined;
  }
}
