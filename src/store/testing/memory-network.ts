import { assert } from "../../lib/index.ts";
import type { StateFiles } from "../../mvcc/index.ts";
import { decodeMessage, encodeMessage } from "../../raft/index.ts";
import type { MemberId, Message } from "../../raft/index.ts";
import type { PeerHandlers, PeerTransport, SnapshotFile } from "../peer-transport.ts";

interface Station {
  readonly files: StateFiles;
  handlers: PeerHandlers | undefined;
  directory: string;
  peers: ReadonlySet<MemberId>;
}

/**
 * Peers in one process: messages arrive in order, after a turn of the microtask queue, as bytes
 * like on any wire. Links can be cut in one direction or both. Deterministic: no clock, no chance.
 */
export class MemoryNetwork {
  readonly #stations = new Map<MemberId, Station>();
  readonly #cut = new Set<string>();
  /** How many snapshots arrived whole. */
  snapshots = 0;
  /** The files that were sent. */
  readonly snapshotIds = new Set<string>();
  /** So many transfers break before they arrive. */
  failSnapshots = 0;
  /** Looks at every message that arrives; false drops it. */
  filter: (message: Message) => boolean = () => true;

  /** A member's end of the network; a new one replaces that of an earlier process. */
  transport(id: MemberId, files: StateFiles): PeerTransport {
    const station: Station = { files, handlers: undefined, directory: "", peers: new Set() };
    this.#stations.set(id, station);
    const present = (): boolean => this.#stations.get(id) === station;
    return {
      start: (handlers, { snapshotDirectory }) => {
        station.handlers = handlers;
        station.directory = snapshotDirectory;
        return Promise.resolve();
      },
      setPeers: (peers) => {
        station.peers = new Set(peers.keys());
      },
      send: (to, messages) => {
        if (!present()) return;
        const wire = messages.map((message) => encodeMessage(message));
        void Promise.resolve().then(() => this.#deliver(id, to, wire));
      },
      sendSnapshot: (to, file, signal) => this.#carry(id, to, file, signal),
      close: () => {
        if (present()) this.stop(id);
        return Promise.resolve();
      },
    };
  }

  /** Messages from the one to the other are lost; the way back stays. */
  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Cuts a member off from all others, without anybody being told. */
  isolate(id: MemberId): void {
    for (const other of this.#stations.keys()) {
      if (other === id) continue;
      this.cut(id, other);
      this.cut(other, id);
    }
  }

  /** The member's process is gone: its connections break, which the others are told. */
  stop(id: MemberId): void {
    this.#stations.delete(id);
    for (const { handlers, peers } of this.#stations.values()) {
      if (peers.has(id)) handlers?.onPeerDown(id);
    }
  }

  #passes(from: MemberId, to: MemberId): boolean {
    return this.#stations.has(from) && !this.#cut.has(`${from}>${to}`);
  }

  #deliver(from: MemberId, to: MemberId, wire: readonly Uint8Array[]): void {
    if (!this.#passes(from, to)) return;
    const messages = wire.map((bytes) => decodeMessage(bytes)).filter((one) => this.filter(one));
    this.#stations.get(to)?.handlers?.onMessages(from, messages);
  }

  async #carry(
    from: MemberId,
    to: MemberId,
    file: SnapshotFile,
    signal: AbortSignal,
  ): Promise<void> {
    const content = await file.read(0, file.bytes);
    const station = this.#stations.get(to);
    if (signal.aborted || station?.handlers === undefined || !this.#passes(from, to)) {
      throw new Error(`member ${to} cannot be reached`);
    }
    this.snapshotIds.add(file.id);
    if (this.failSnapshots > 0) {
      this.failSnapshots -= 1;
      throw new Error("the connection broke");
    }
    assert(content.length === file.bytes, "a snapshot is read whole");
    const path = `${station.directory}/${file.id}`;
    await station.files.write(path, content.slice());
    await station.handlers.onSnapshot(from, { point: file.point, path });
    this.snapshots += 1;
  }
}
