import { isIP } from "node:net";
import type { Socket, SocketHandler } from "bun";

/** A connection whose TLS did not come about. */
export class TlsDialError extends Error {
  override readonly name = "TlsDialError";
  readonly code: "tls-certificate-error" | "tls-protocol-error";

  constructor(code: TlsDialError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Connects with TLS and checks that the certificate is for `host`, by the authorities the machine
 * trusts. Like a plain connection to the handler: `open` comes after the handshake, and what goes
 * wrong before is told once, by `connectError`.
 */
export function dialTls<Data>(
  place: { readonly hostname: string; readonly port: number } | { readonly unix: string },
  host: string,
  data: Data,
  handler: SocketHandler<Data>,
): void {
  let state: "connecting" | "open" | "failed" = "connecting";
  const failed = (socket: Socket<Data>, error: Error): void => {
    if (state !== "connecting") return;
    state = "failed";
    void handler.connectError?.(socket, error);
    socket.terminate();
  };
  const socket: SocketHandler<Data> = {
    ...handler,
    open: () => undefined,
    handshake(opened, success, error) {
      if (success && error == null) {
        state = "open";
        void handler.open?.(opened);
        return;
      }
      // The library's own faults are of the protocol; what else there is concerns the certificate.
      const protocol = error != null && "code" in error && error.code === "EPROTO";
      const code = protocol ? "tls-protocol-error" : "tls-certificate-error";
      failed(opened, new TlsDialError(code, error?.message ?? "the handshake failed"));
    },
    close(closed, error) {
      if (state === "open") void handler.close?.(closed, error);
      else failed(closed, new TlsDialError("tls-protocol-error", "closed during the handshake"));
    },
    connectError: failed,
  };
  const tls = {
    rejectUnauthorized: true,
    ALPNProtocols: "http/1.1",
    ...(isIP(host) === 0 ? { serverName: host } : {}),
  };
  const options = { ...place, allowHalfOpen: true, data, tls, socket };
  // A failure is told twice: by the handler's connectError, which acts, and by this promise.
  Bun.connect<Data>(options as Parameters<typeof Bun.connect<Data>>[0]).catch(() => undefined);
}
