/** LIBUS_LISTEN_REUSE_PORT of Bun's sockets. */
const REUSE_PORT = 4;

/**
 * What Bun.listen is given besides, so that another process of this user that allows it may have
 * the port as well. Bun's types tell of it for Bun.serve alone.
 */
export function sharedPort(options: { readonly shares: boolean }): { readonly reusePort?: true } {
  return options.shares ? { reusePort: true } : {};
}

/** The same for Bun.udpSocket, as Bun's own node:dgram asks for it. */
export function sharedDatagramPort(options: { readonly shares: boolean }): {
  readonly flags?: number;
} {
  return options.shares ? { flags: REUSE_PORT } : {};
}
