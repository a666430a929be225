import { createHash } from "node:crypto";
import { open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Logger } from "../../lib/index.ts";
import type { MemberId, PeerHandlers, ReceivedSnapshot } from "../../store/index.ts";
import { FRAME } from "./frame.ts";
import { FramedConnection, type FrameUser } from "./framed-connection.ts";
import { HTTP_PING_AFTER_MS, HTTP_SILENCE_MS } from "./http-client.ts";
import { answerLine, type Refusal } from "./peer-listener.ts";
import type { PeerSocket } from "./peer-socket.ts";
import type { Preface } from "./preface.ts";

/** Transfers to this member at once; a group has one leader, and perhaps one that was. */
export const MAX_INCOMING_SNAPSHOTS = 2;
/** Bytes that wait for the disk before the sender is held back. */
const MAX_UNWRITTEN_BYTES = 1024 * 1024;
const HASH_READ_BYTES = 1024 * 1024;

export type SnapshotPreface = Extract<Preface, { protocol: "snapshot" }>;

export interface SnapshotReceiverOptions {
  readonly directory: string;
  readonly handlers: PeerHandlers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Receives state files. What came of a file stays on disk under the file's id, so that a later
 * connection goes on there; it is read back and compared with the sender's digest at the end.
 */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  readonly #transfers = new Set<IncomingTransfer>();

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#transfers.size;
  }

  accept(preface: SnapshotPreface, from: MemberId, connection: PeerSocket): Refusal | undefined {
    const name = createHash("sha256").update(preface.id).digest("hex").slice(0, 32);
    for (const transfer of this.#transfers) {
      if (transfer.from !== from && transfer.name !== name) continue;
      // The sender began anew; until the old one's last write is done the file is not free.
      transfer.cut("the sender began anew");
      return { refused: "an earlier transfer is still ending", temporary: true };
    }
    if (this.#transfers.size >= MAX_INCOMING_SNAPSHOTS) {
      return { refused: `${this.#transfers.size} snapshots are on their way`, temporary: true };
    }
    const transfer = new IncomingTransfer({ ...this.#options, preface, from, name, connection });
    this.#transfers.add(transfer);
    this.#clean()
      .then(() => transfer.run())
      .catch((error: unknown) => {
        this.#options.logger.warn("receiving a snapshot failed", { from, error: String(error) });
      })
      .finally(() => this.#transfers.delete(transfer));
    return undefined;
  }

  /** Called every few seconds. */
  sweep(): void {
    for (const transfer of this.#transfers) transfer.sweep();
  }

  close(): void {
    for (const transfer of this.#transfers) transfer.cut("the transport is closed");
  }

  /** Removes what is left of files that nobody sends any more, or that nobody took over. */
  async #clean(): Promise<void> {
    for (const file of await readdir(this.#options.directory)) {
      const name = /^([0-9a-f]{32})\.(?:part|state)$/.exec(file)?.[1];
      // Looked up at each file: another transfer may have begun meanwhile.
      if (name === undefined || [...this.#transfers].some((each) => each.name === name)) continue;
      await rm(join(this.#options.directory, file), { force: true });
    }
  }
}

interface IncomingTransferOptions extends SnapshotReceiverOptions {
  readonly preface: SnapshotPreface;
  readonly from: MemberId;
  readonly name: string;
  readonly connection: PeerSocket;
}

class IncomingTransfer implements FrameUser {
  readonly from: MemberId;
  readonly name: string;
  readonly #options: IncomingTransferOptions;
  readonly #framed: FramedConnection;
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #digest: string | undefined;
  #broken: string | undefined;
  #wake: (() => void) | undefined;

  constructor(options: IncomingTransferOptions) {
    this.from = options.from;
    this.name = options.name;
    this.#options = options;
    this.#framed = new FramedConnection(options.connection, this, {
      clock: options.clock,
      gather: "task",
    });
  }

  onFrame(type: number, payload: Buffer): void {
    if (type === FRAME.data && this.#digest === undefined) {
      this.#arrived.push(payload);
      this.#arrivedBytes += payload.length;
      if (this.#arrivedBytes >= MAX_UNWRITTEN_BYTES) this.#framed.pause();
    } else if (type === FRAME.digest && this.#digest === undefined) {
      this.#digest = payload.toString();
    } else {
      this.cut(`a frame of type ${type} in a snapshot`);
    }
    this.#wakeUp();
  }

  onClose(reason: string): void {
    this.#broken ??= reason;
    this.#wakeUp();
  }

  cut(reason: string): void {
    this.#framed.destroy();
    this.onClose(reason);
  }

  sweep(): void {
    this.#framed.keepAlive(HTTP_PING_AFTER_MS);
    if (this.#framed.silentMs() > HTTP_SILENCE_MS && this.#digest === undefined) {
      this.cut("the sender is silent");
    }
  }

  /** Rejects when the transfer breaks; what arrived stays for the next one. */
  async run(): Promise<void> {
    const part = join(this.#options.directory, `${this.name}.part`);
    const file = await open(part, "a+");
    try {
      await this.#receive(file);
      await file.datasync();
      const digest = await digestOf(file);
      if (digest !== this.#digest) {
        await rm(part, { force: true });
        throw new Error("the snapshot arrived damaged: its checksum differs");
      }
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      await file.close();
    }
    const path = join(this.#options.directory, `${this.name}.state`);
    await rename(part, path);
    try {
      await this.#options.handlers.onSnapshot(this.from, {
        // The schema has checked the shape; the brands are only names for the numbers.
        point: this.#options.preface.point as unknown as ReceivedSnapshot["point"],
        path,
      });
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#framed.send(FRAME.taken);
    this.#framed.finish();
  }

  async #receive(file: FileHandle): Promise<void> {
    const { bytes } = this.#options.preface;
    let { size } = await file.stat();
    if (size > bytes) {
      await file.truncate(0);
      size = 0;
    }
    if (this.#broken !== undefined) throw new Error(this.#broken);
    this.#options.connection.write(answerLine({ ok: true, offset: size }));
    for (;;) {
      const chunks = this.#arrived;
      if (chunks.length > 0) {
        size += this.#arrivedBytes;
        this.#arrived = [];
        this.#arrivedBytes = 0;
        if (size > bytes) throw new Error("the snapshot is longer than announced");
        await file.appendFile(Buffer.concat(chunks));
        this.#framed.resume();
      } else if (this.#broken !== undefined) {
        throw new Error(this.#broken);
      } else if (this.#digest !== undefined) {
        if (size !== bytes) throw new Error(`${size} of ${bytes} bytes arrived`);
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#broken !== undefined) return;
    this.#framed.send(FRAME.failed, error instanceof Error ? error.message : String(error));
    this.#framed.finish();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(HASH_READ_BYTES);
  for (let offset = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
    offset += bytesRead;
  }
}
