/**
 * What a process takes on at once over its link; each is its named constant unless given. Whoever
 * comes when a limit is reached is told so, and may come again.
 */
export interface PeerLimits {
  /** Attempts to connect that are under way ({@link MAX_DIALS}). */
  readonly dials?: number;
  /** Requests to one peer ({@link MAX_EXCHANGES_PER_PEER}). */
  readonly exchangesPerPeer?: number;
  /** Connections that serve HTTP ({@link MAX_HTTP_CONNECTIONS}). */
  readonly httpConnections?: number;
  /** Tunnels into this node ({@link MAX_TUNNELS}). */
  readonly tunnels?: number;
  /** Members that were never heard of ({@link MAX_STRANGERS}). */
  readonly strangers?: number;
  /** Connections of any kind ({@link MAX_ACCEPTED}). */
  readonly accepted?: number;
  /** Of those, one certificate's ({@link MAX_ACCEPTED_A_PEER}). */
  readonly acceptedAPeer?: number;
}
