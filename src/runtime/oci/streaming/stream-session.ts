import type { Clock, SpdyConnection, SpdyStream } from "../../../lib/index.ts";
import type { StreamOptions, StreamOutcome, StreamSession } from "../../runtime.ts";
import { outcomeOf } from "./stream-status.ts";
import { openStreamingConnection } from "./streaming-connection.ts";

/**
 * Versions of the remote command protocol, the best one first: from v4 on the exit code comes with
 * a Status. All that runtimes with this API speak it.
 */
const PROTOCOLS = ["v4.channel.k8s.io"];
/** A Status has a few hundred bytes. */
const MAX_STATUS_BYTES = 64 * 1024;

/**
 * Joins the streams of a program behind the URL of Exec or Attach. Errors: as
 * {@link openStreamingConnection}.
 */
export async function openStreamSession(
  url: string,
  options: StreamOptions,
  { clock }: { readonly clock: Clock },
): Promise<StreamSession> {
  const connection = await openStreamingConnection({ url, protocols: PROTOCOLS }, { clock });
  const session = new SpdyStreamSession(connection, options);
  // A containerd (1.6) that has not answered a stream when its connection ends waits for ever to
  // end that stream, and the container whose output it is can never be stopped: see test/BUGS.md.
  await connection.answered();
  return session;
}

/** The server waits for the streams that it was asked for, and begins when all are there. */
class SpdyStreamSession implements StreamSession {
  readonly stdin?: WritableStream<Uint8Array>;
  readonly stdout?: ReadableStream<Uint8Array>;
  readonly stderr?: ReadableStream<Uint8Array>;
  readonly ended: Promise<StreamOutcome>;
  readonly #connection: SpdyConnection;
  readonly #resizes: SpdyStream | undefined;

  constructor(connection: SpdyConnection, options: StreamOptions) {
    this.#connection = connection;
    const open = (streamtype: string): SpdyStream => connection.open({ streamtype });
    const status = open("error");
    if (options.stdin) this.stdin = writableOf(open("stdin"));
    if (options.stdout) this.stdout = open("stdout").readable;
    if (options.stderr && !options.tty) this.stderr = open("stderr").readable;
    if (options.tty) this.#resizes = open("resize");
    this.ended = outcomeFrom(status);
  }

  resize({ width, height }: { readonly width: number; readonly height: number }): void {
    const size = JSON.stringify({ Width: width, Height: height });
    // One that comes after the end changes nothing.
    this.#resizes?.write(Buffer.from(size)).catch(() => undefined);
  }

  close(): void {
    this.#connection.close();
  }
}

async function outcomeFrom(status: SpdyStream): Promise<StreamOutcome> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of status.readable) {
    if (text.length < MAX_STATUS_BYTES) text += decoder.decode(chunk, { stream: true });
  }
  // Servers close with resets, which come after the Status: only without one they mean a loss.
  if (text === "" && status.failure !== undefined) {
    return { type: "failed", message: status.failure.message };
  }
  return outcomeOf(text);
}

/** A stream's writing side; closing it ends that side alone. */
export function writableOf(stream: SpdyStream): WritableStream<Uint8Array> {
  return new WritableStream({
    write: (chunk) => stream.write(chunk),
    close: () => stream.end(),
    abort: () => stream.reset(),
  });
}
