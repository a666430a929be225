import type { Clock, Logger } from "../../lib/index.ts";
import type { RoutingTable } from "../routing/routing-table.ts";
import type { Sleepers } from "../wake/sleepers.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

/** Heads of requests larger than this are answered with 431. */
export const MAX_REQUEST_HEAD_BYTES = 32 * 1024;
/** Clients beyond this are answered 503 at once. */
export const MAX_CLIENT_CONNECTIONS = 10_000;

/** Milliseconds each; checked about once a second. */
export interface HttpTimeouts {
  /** From the first byte of a request head to its last. */
  readonly headMs: number;
  /** Between two requests of one connection. */
  readonly idleMs: number;
  readonly connectMs: number;
  /** Silence before the head of a response. */
  readonly responseMs: number;
  /** Silence inside a body. */
  readonly bodyMs: number;
  /** Silence on an upgraded connection. */
  readonly tunnelMs: number;
  /** For a client to read the last answer before its connection is cut. */
  readonly lingerMs: number;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = {
  headMs: 30_000,
  idleMs: 75_000,
  connectMs: 5_000,
  responseMs: 60_000,
  bodyMs: 600_000,
  tunnelMs: 3_600_000,
  lingerMs: 2_000,
};

/** How long, once retired, a connection may be silent that was to be ended by its next answer. */
export const RETIRED_IDLE_MS = 5_000;

/** What all connections of Ingress share, or all of pods' egress. */
export interface HttpContext {
  table: RoutingTable;
  /** The listener is closed: connections end with the request they are at. */
  closing: boolean;
  /**
   * Since when another process has the listener, by the monotonic clock: each connection is told
   * with its next answer that it ends, so that no client sends a request into a connection that is
   * just being closed.
   */
  retiredMs: number | undefined;
  /** The monotonic clock as of the last sweep: good enough for timeouts, free to read. */
  coarseNowMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timeouts: HttpTimeouts;
  readonly pool: UpstreamPool;
  /** Keeps requests for what is scaled to zero; without it they are refused. */
  readonly sleepers: Sleepers | undefined;
  readonly clients: Set<ClientConnection>;
  /** For putting heads together; what is in it is used up before the next event. */
  readonly scratch: Buffer;
}

/** Room for the largest head, what is added to it, and a piece of body behind it. */
export const SCRATCH_BYTES = 256 * 1024;
