import type { FacadeStatus, WorkerEndReason } from "../worker-protocol.ts";

/** How a guest ended, before a time is put on it. */
export interface GuestEnd {
  readonly exitCode: number;
  readonly reason: WorkerEndReason;
  readonly message: string;
}

/** What a worker runs: a command with its sockets, or one instance a request. */
export interface Guest {
  /** Open connections, or requests under way. */
  readonly connections: number;
  /** Whether a peer waits for an answer. Connections that are only kept open do not count. */
  readonly owesAnswer: boolean;
  /** Changes whenever bytes move on a connection. */
  readonly activity: number;
  readonly memoryBytes: number;
  /** Binds the Unix sockets, and says how the facades went. Throws when a Unix socket fails. */
  listen(): readonly FacadeStatus[];
  /** Enters the guest; resolves when it ended by itself. */
  run(): Promise<GuestEnd>;
  /** It is being stopped: whoever is answered from now on is told to come by another connection. */
  drain?(): void;
  /**
   * Ends a guest that waits: {@link run} then resolves. Absent for styles that end with their
   * process only.
   */
  abort?(reason: Error): void;
  /** Gives back what the guest holds, once it ended and its process lives on. */
  close?(): void;
}
