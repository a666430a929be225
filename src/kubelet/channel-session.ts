import { ByteInbox, CHANNEL, channelFrame, ChannelFrameReader } from "../lib/index.ts";
import type { CancelTimer, Clock } from "../lib/index.ts";
import type { StreamOutcome, StreamSession } from "../runtime/index.ts";

/** A session in which nobody says anything is cut after this time, as by Kubernetes' kubelet. */
export const STREAM_IDLE_MS = 4 * 60 * 60 * 1000;
const MAX_RESIZE_TEXT = 4 * 1024;

export interface ChannelSessionOptions {
  /** Messages of the client; their end means that it is gone. */
  readonly input: ReadableStream<Uint8Array> | null;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Told once, when nothing of the session is left. */
  readonly onOver: () => void;
}

/**
 * Joins a client's channels to a program. Gives what the program says, and last how it ended, as a
 * Status on the error channel. A client that leaves takes the session with it.
 */
export function serveChannels(
  session: StreamSession,
  options: ChannelSessionOptions,
): ReadableStream<Uint8Array> {
  const served = new ChannelSession(session, options);
  void served.run();
  return served.output;
}

class ChannelSession {
  readonly #session: StreamSession;
  readonly #options: ChannelSessionOptions;
  readonly #inbox: ByteInbox;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #onAbort = (): void => this.#leave();
  #room: PromiseWithResolvers<void> | undefined;
  #cancelIdle: CancelTimer | undefined;
  #saidMs: number;
  #resizeText = "";
  #over = false;

  constructor(session: StreamSession, options: ChannelSessionOptions) {
    this.#session = session;
    this.#options = options;
    this.#stdin = session.stdin?.getWriter();
    // How writing ended is seen by each write.
    this.#stdin?.closed.catch(() => undefined);
    this.#saidMs = options.clock.monotonic();
    this.#inbox = new ByteInbox({
      onRoom: () => this.#roomAgain(),
      onCancel: () => this.#leave(),
    });
  }

  get output(): ReadableStream<Uint8Array> {
    return this.#inbox.stream;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const { signal, input } = this.#options;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) return this.#leave();
    this.#watchIdle(STREAM_IDLE_MS);
    if (input !== null) void this.#passIn(input);
    const [outcome] = await Promise.all([
      this.#session.ended,
      this.#passOut(CHANNEL.stdout, this.#session.stdout),
      this.#passOut(CHANNEL.stderr, this.#session.stderr),
    ]);
    if (this.#over) return;
    await this.#say(CHANNEL.error, Buffer.from(JSON.stringify(statusOf(outcome))));
    this.#leave();
  }

  async #passOut(channel: number, stream: ReadableStream<Uint8Array> | undefined): Promise<void> {
    if (stream === undefined) return;
    try {
      for await (const chunk of stream) {
        if (this.#over) return;
        await this.#say(channel, chunk);
      }
    } catch {
      // The stream was cut: how the program ended is told by the session.
      return;
    }
  }

  async #passIn(input: ReadableStream<Uint8Array>): Promise<void> {
    const reader = new ChannelFrameReader();
    try {
      for await (const chunk of input) {
        this.#saidMs = this.#options.clock.monotonic();
        for (const { channel, payload } of reader.push(chunk)) {
          if (this.#over) return;
          await this.#take(channel, payload);
        }
      }
    } catch {
      // The way to the client was cut, or it does not keep to the protocol.
      return this.#leave();
    }
    this.#leave();
  }

  async #take(channel: number, payload: Uint8Array): Promise<void> {
    try {
      if (channel === CHANNEL.stdin) await this.#stdin?.write(payload);
      else if (channel === CHANNEL.close && payload[0] === CHANNEL.stdin) {
        await this.#stdin?.close();
      } else if (channel === CHANNEL.resize) this.#resize(payload);
    } catch {
      // A program need not read what it is told: it goes on without its input.
      return;
    }
  }

  /** Sizes are JSON objects one after the other; the last one counts. */
  #resize(payload: Uint8Array): void {
    this.#resizeText = (this.#resizeText + Buffer.from(payload).toString()).slice(-MAX_RESIZE_TEXT);
    const end = this.#resizeText.lastIndexOf("}");
    const begin = this.#resizeText.lastIndexOf("{", end);
    if (begin === -1 || end === -1) return;
    const text = this.#resizeText.slice(begin, end + 1);
    this.#resizeText = this.#resizeText.slice(end + 1);
    const width = /"Width"\s*:\s*(\d{1,5})\b/.exec(text)?.[1];
    const height = /"Height"\s*:\s*(\d{1,5})\b/.exec(text)?.[1];
    if (width === undefined || height === undefined) return;
    this.#session.resize({ width: Number(width), height: Number(height) });
  }

  /** Resolves when the client took enough of what was said. */
  async #say(channel: number, payload: Uint8Array): Promise<void> {
    this.#saidMs = this.#options.clock.monotonic();
    if (this.#inbox.push(channelFrame(channel, payload))) return;
    this.#room ??= Promise.withResolvers();
    await this.#room.promise;
  }

  #roomAgain(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #watchIdle(delayMs: number): void {
    this.#cancelIdle = this.#options.clock.after(delayMs, () => {
      const leftMs = STREAM_IDLE_MS - (this.#options.clock.monotonic() - this.#saidMs);
      if (leftMs <= 0) this.#leave();
      else this.#watchIdle(leftMs);
    });
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelIdle?.();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#session.close();
    this.#inbox.end();
    this.#roomAgain();
    this.#options.onOver();
  }
}

/** The Status that clients of Kubernetes read exit codes from. */
export function statusOf(outcome: StreamOutcome): object {
  if (outcome.type === "failed") {
    const { message } = outcome;
    return {
      metadata: {},
      status: "Failure",
      message: `Internal error occurred: ${message}`,
      reason: "InternalError",
      details: { causes: [{ message }] },
      code: 500,
    };
  }
  if (outcome.exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${outcome.exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: `${outcome.exitCode}` }] },
  };
}
