import type { MemberId, Message, SnapshotPoint } from "../raft/index.ts";

/** A state file to be sent; its name says which one, so that a transfer can be resumed. */
export interface SnapshotFile {
  readonly point: SnapshotPoint;
  /** Differs between any two files ever sent. */
  readonly id: string;
  readonly bytes: number;
  /** Reads up to `length` bytes from `offset`. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A state file that arrived whole and verified; whoever takes it removes it. */
export interface ReceivedSnapshot {
  readonly point: SnapshotPoint;
  readonly path: string;
}

export interface PeerHandlers {
  onMessages(from: MemberId, messages: readonly Message[]): void;
  /** Resolves when the state is taken over; only then is the sender told that it arrived. */
  onSnapshot(from: MemberId, snapshot: ReceivedSnapshot): Promise<void>;
  /** The connection to this peer broke or was refused: nobody answers there now. */
  onPeerDown(peer: MemberId): void;
  onPeerUp(peer: MemberId): void;
}

/**
 * Carries messages between the members of a group, in order on each connection. It may lose them:
 * the core repeats what matters. A slow or dead peer costs the others nothing.
 */
export interface PeerTransport {
  /** Begins to listen and to connect; incoming snapshots take shape in this directory. */
  start(handlers: PeerHandlers, options: { readonly snapshotDirectory: string }): Promise<void>;
  /** The other members and where they answer, "host:port"; replaces what was known. */
  setPeers(peers: ReadonlyMap<MemberId, string>): void;
  /** Never waits: what exceeds the peer's queue is dropped. */
  send(to: MemberId, messages: readonly Message[]): void;
  /** Resolves when the peer has taken the state over. Resumes after a broken connection. */
  sendSnapshot(to: MemberId, file: SnapshotFile, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
