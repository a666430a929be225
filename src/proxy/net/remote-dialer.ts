/** A pod's port as its own node knows it. */
export interface TunnelTarget {
  readonly ip: string;
  readonly port: number;
}

/**
 * The end of a byte stream to a pod on another node. It behaves as Bun's `Socket` does, so that a
 * socket is one: `write` takes what it can and tells how many bytes (-1 when closed); after a short
 * write `onDrain` tells when to go on.
 */
export interface TunnelSocket {
  write(bytes: Uint8Array): number;
  /** Stops and starts the reading side. */
  pause(): void;
  resume(): void;
  /** Ends the writing side; reading goes on. */
  shutdown(): void;
  /** Closes once what was written is sent. */
  end(): void;
  /** Cuts both sides at once. */
  terminate(): void;
}

/** What a tunnel tells: `onOpen` at most once and first, `onClose` exactly once and last. */
export interface TunnelEvents {
  /** The pod's port took the connection; `socket` may be written to at once. */
  onOpen(socket: TunnelSocket): void;
  onData(chunk: Buffer): void;
  onDrain(): void;
  /** The pod ended its writing side. */
  onEnd(): void;
  /** Without an `onOpen` before: nothing answers there, and no byte was passed on. */
  onClose(error: Error | undefined): void;
}

/** Reaches pods of other nodes, by mutual TLS. */
export interface RemoteDialer {
  /** `address` is the peer address of the pod's node, "host:port". Never throws. */
  dialTunnel(address: string, target: TunnelTarget, events: TunnelEvents): void;
}
