import { createHash } from "node:crypto";
import { sleep, type Clock, type Random } from "../../lib/index.ts";
import type { MemberId, SnapshotFile } from "../../store/index.ts";
import { FRAME } from "./frame.ts";
import { FramedConnection } from "./framed-connection.ts";
import { HTTP_PING_AFTER_MS, HTTP_SILENCE_MS } from "./http-client.ts";
import { SERVERS_GROUP } from "./node-link.ts";
import type { Dialled, PeerDialer } from "./peer-dialer.ts";
import { PeerError } from "./peer-error.ts";
import { memberName } from "./peer-identity.ts";
import { PROTOCOL_VERSION, type Preface } from "./preface.ts";

export const SNAPSHOT_CHUNK_BYTES = 256 * 1024;
/** Transfers from this member at once; others wait for their turn. */
export const MAX_OUTGOING_SNAPSHOTS = 2;
/** Attempts in a row that brought nothing; the core tries again when it wants to. */
export const MAX_FRUITLESS_ATTEMPTS = 5;
const MAX_BACKOFF_MS = 1_000;

export interface SnapshotSenderOptions {
  readonly self: MemberId;
  readonly clusterId: string;
  readonly dialer: PeerDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly addressOf: (member: MemberId) => string | undefined;
}

/** Sends state files, each over a connection of its own: messages are never behind them. */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #transfers = new Set<FramedConnection>();
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  #running = 0;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** See PeerTransport. Rejects with PeerError, or with the signal's reason. */
  async send(to: MemberId, file: SnapshotFile, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    either.throwIfAborted();
    if (this.#running >= MAX_OUTGOING_SNAPSHOTS) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      await this.#attempts(to, file, either);
    } finally {
      // The place goes to the next in line, or is free again.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Called every few seconds. */
  sweep(): void {
    for (const framed of this.#transfers) {
      framed.keepAlive(HTTP_PING_AFTER_MS);
      if (framed.silentMs() <= HTTP_SILENCE_MS) continue;
      framed.destroy();
      framed.user.onClose("the receiver is silent");
    }
  }

  close(): void {
    this.#closing.abort(new PeerError("closed", "the transport is closed"));
  }

  async #attempts(to: MemberId, file: SnapshotFile, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const digest = new RunningDigest(file);
    let best = -1;
    for (let fruitless = 0; ; fruitless++) {
      signal.throwIfAborted();
      try {
        await this.#attempt(to, file, digest, signal, (offset) => {
          if (offset > best) fruitless = 0;
          best = Math.max(best, offset);
        });
        return;
      } catch (error) {
        signal.throwIfAborted();
        const hopeless = !(error instanceof PeerError) || error.code === "refused";
        if (hopeless || fruitless >= MAX_FRUITLESS_ATTEMPTS) throw error;
      }
      const limit = Math.min(MAX_BACKOFF_MS, 50 * 2 ** fruitless);
      await sleep(clock, limit * (0.5 + random.float() / 2), signal);
    }
  }

  async #attempt(
    to: MemberId,
    file: SnapshotFile,
    digest: RunningDigest,
    signal: AbortSignal,
    onOffset: (offset: number) => void,
  ): Promise<void> {
    const dialled = await this.#dial(to, file, signal);
    const offset = dialled.answer.offset ?? 0;
    const over = Promise.withResolvers<void>();
    const framed = new FramedConnection(
      dialled.connection,
      {
        onFrame: (type, payload) => {
          if (type === FRAME.taken) over.resolve();
          else over.reject(new PeerError("refused", `the receiver says: ${payload.toString()}`));
        },
        onClose: (reason) => over.reject(new PeerError("broken", reason, { delivered: true })),
      },
      { clock: this.#options.clock, gather: "task" },
    );
    this.#transfers.add(framed);
    const onAbort = (): void => {
      framed.destroy();
      over.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      onOffset(offset);
      if (signal.aborted) onAbort();
      if (dialled.rest.length > 0) framed.onData(dialled.rest);
      const sending = this.#sendChunks(framed, file, digest, offset);
      sending.catch(over.reject);
      await over.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#transfers.delete(framed);
      framed.destroy();
    }
  }

  async #sendChunks(
    framed: FramedConnection,
    file: SnapshotFile,
    digest: RunningDigest,
    from: number,
  ): Promise<void> {
    await digest.reach(from);
    for (let offset = from; offset < file.bytes;) {
      if (framed.closed) return;
      const chunk = await file.read(offset, SNAPSHOT_CHUNK_BYTES);
      if (chunk.length === 0) throw new Error(`snapshot ${file.id} ends at byte ${offset}`);
      digest.add(offset, chunk);
      offset += chunk.length;
      // One after the other is what keeps the memory of a transfer at a few chunks.
      if (!framed.send(FRAME.data, chunk)) await framed.writable();
    }
    framed.send(FRAME.digest, digest.whole());
  }

  #dial(to: MemberId, file: SnapshotFile, signal: AbortSignal): Promise<Dialled> {
    const { dialer, self, clusterId, addressOf } = this.#options;
    const address = addressOf(to);
    if (address === undefined) {
      return Promise.reject(new PeerError("unreachable", `member ${to} has no address`));
    }
    const { configuration } = file.point;
    const preface: Preface = {
      protocol: "snapshot",
      version: PROTOCOL_VERSION,
      cluster: clusterId,
      from: self,
      to,
      id: file.id,
      bytes: file.bytes,
      point: {
        index: file.point.index,
        term: file.point.term,
        configuration: {
          voters: [...configuration.voters],
          outgoing: [...configuration.outgoing],
          learners: [...configuration.learners],
          learnersNext: [...configuration.learnersNext],
          witnesses: [...configuration.witnesses],
          autoLeave: configuration.autoLeave,
        },
      },
    };
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        giveUp();
        reject(signal.reason as Error);
      };
      const giveUp = dialer.dial({
        address,
        expect: { commonName: memberName(to), organizations: [SERVERS_GROUP] },
        preface,
        onDialled: (dialled) => {
          signal.removeEventListener("abort", onAbort);
          resolve(dialled);
        },
        onFailure: (error) => {
          signal.removeEventListener("abort", onAbort);
          reject(error);
        },
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** SHA-256 of a file that is read in order, over several attempts. */
class RunningDigest {
  readonly #file: SnapshotFile;
  readonly #hash = createHash("sha256");
  #position = 0;
  #whole: string | undefined;

  constructor(file: SnapshotFile) {
    this.#file = file;
  }

  /** Reads what an earlier sender of this file had sent. */
  async reach(offset: number): Promise<void> {
    while (this.#position < offset) {
      const length = Math.min(SNAPSHOT_CHUNK_BYTES, offset - this.#position);
      const chunk = await this.#file.read(this.#position, length);
      if (chunk.length === 0) throw new Error(`snapshot ${this.#file.id} is too short`);
      this.add(this.#position, chunk);
    }
  }

  add(offset: number, chunk: Uint8Array): void {
    const fresh = chunk.subarray(this.#position - offset);
    if (fresh.length === 0) return;
    this.#hash.update(fresh);
    this.#position += fresh.length;
  }

  whole(): string {
    this.#whole ??= this.#hash.digest("hex");
    return this.#whole;
  }
}
