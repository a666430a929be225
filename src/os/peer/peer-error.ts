/**
 * unreachable: no connection came about in time. refused: the peer is not who was meant, or did
 * not want this connection. broken: the connection ended early. overloaded: a limit here.
 */
export type PeerErrorCode = "unreachable" | "refused" | "broken" | "overloaded" | "closed";

export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly code: PeerErrorCode;
  /** Whether the peer may have acted on what was sent; false is definite. */
  readonly delivered: boolean;

  constructor(code: PeerErrorCode, message: string, options: { delivered?: boolean } = {}) {
    super(message);
    this.code = code;
    this.delivered = options.delivered ?? false;
  }
}
