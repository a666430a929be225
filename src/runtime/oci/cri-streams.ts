import type { ByteStream, ExecOptions, StreamOptions, StreamSession } from "../runtime.ts";

/**
 * Opens what a CRI answers to Exec, Attach and PortForward: the URL of its streaming server, which
 * may be used once and soon. Implemented in `streaming/`. Errors: RuntimeError `unsupported` when
 * the server speaks none of our protocols, `not-found` when the URL is not known there (any more).
 */
export interface CriStreams {
  /** The program of a session that is closed before its end is killed. */
  exec(url: string, options: ExecOptions, containerId: string): Promise<StreamSession>;
  attach(url: string, options: StreamOptions): Promise<StreamSession>;
  /** Connects to `port` on the pod's own localhost. */
  portForward(url: string, port: number): Promise<ByteStream>;
}
