import type { OutletSocket } from "../../lib/index.ts";

/** What of a client's connection is used, whether it is plain or came through TLS. */
export interface ClientSocket extends OutletSocket {
  /** Undefined for who comes by a Unix socket. */
  readonly remoteAddress: string | undefined;
  pause(): void;
  resume(): void;
}
