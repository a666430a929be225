import type { HostClock } from "../../host/host-clock.ts";
import type { FrontConnection } from "./front-connection.ts";
import type { FrontExchange } from "./front-exchange.ts";

/** Heads larger than this are answered 431; what an Ingress lets through is smaller. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Connections of one container; one more is answered 503 and closed. */
export const MAX_CONNECTIONS = 4096;
/** Bytes a client may send ahead of its turn before its socket is no longer read. */
export const MAX_AHEAD_BYTES = 64 * 1024;
/** Bytes of all requests' bodies held; beyond it only what a guest waits for is read. */
export const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** What may be left of a request's body once it is answered, for the connection to be kept. */
export const MAX_DISCARDED_BYTES = 256 * 1024;
/** Room for the largest head a guest may write, and a piece of body behind it. */
export const SCRATCH_BYTES = 320 * 1024;

/** Milliseconds each; checked about once a second. */
export interface FrontTimeouts {
  /** From the first byte of a request's head to its last. */
  readonly headMs: number;
  /** Between two requests of one connection. */
  readonly idleMs: number;
  /** For a client to read the last answer, or to send the rest of a body nobody reads. */
  readonly lingerMs: number;
}

export const DEFAULT_TIMEOUTS: FrontTimeouts = { headMs: 30_000, idleMs: 75_000, lingerMs: 5_000 };

/** What all connections of one container share. */
export interface FrontContext {
  readonly clock: HostClock;
  readonly timeouts: FrontTimeouts;
  readonly maxConnections: number;
  readonly handle: (exchange: FrontExchange) => void;
  readonly connections: Set<FrontConnection>;
  /** For putting messages together; what is in it is written before the event ends. */
  readonly scratch: Buffer;
  /** As of the last sweep: good enough for timeouts, free to read. */
  coarseNowMs: number;
  /** The Date field's line, of the same moment. */
  dateLine: string;
  /** The container is being stopped: answers say that their connection ends. */
  draining: boolean;
  /** Too much of all requests' bodies is held: only what a guest waits for is read. */
  crowded: boolean;
  /** So many more bytes of bodies are held. */
  hold(change: number): void;
}
