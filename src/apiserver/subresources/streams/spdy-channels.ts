import { CHANNEL, RESET, SpdyConnection, type SpdyStream } from "../../../lib/index.ts";
import type { CancelTimer, Clock } from "../../../lib/index.ts";
import { type ChannelClient, ChannelRelay, PROBE_EVERY_MS } from "./channel-relay.ts";
import type { RawSession, RawSocket } from "./connection-upgrade.ts";
import type { NodeStream } from "./node-stream.ts";

/** Versions of the protocol over SPDY: from v4 on a Status tells the exit code. */
export const SPDY_CHANNEL_PROTOCOLS = ["v4.channel.k8s.io"];
/** How long a client may take to open the streams that it asked for. */
export const STREAM_CREATION_MS = 30_000;

export interface SpdyChannelOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly clock: Clock;
}

type StreamType = "error" | "stdin" | "stdout" | "stderr" | "resize";

/** Serves `kubectl exec` and `attach` over SPDY: the client opens a stream for each channel. */
export function serveSpdyChannels(
  socket: RawSocket,
  node: NodeStream,
  options: SpdyChannelOptions,
): RawSession {
  const wanted: StreamType[] = ["error"];
  for (const name of ["stdin", "stdout", "stderr"] as const) if (options[name]) wanted.push(name);
  if (options.tty) wanted.push("resize");
  const streams = new Map<string, SpdyStream>();
  const relay = new ChannelRelay(
    node,
    clientOver(() => connection, streams),
    options.clock,
  );
  const stopWaiting = options.clock.after(STREAM_CREATION_MS, () => connection.close());
  let stopProbing: CancelTimer = () => undefined;
  const probe = (): void => {
    stopProbing = options.clock.after(PROBE_EVERY_MS, () => {
      connection.ping();
      probe();
    });
  };
  probe();
  const connection = new SpdyConnection({
    role: "server",
    transport: {
      write: (bytes) => socket.write(bytes),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      close: () => socket.end(),
    },
    onStream(stream) {
      const type = stream.headers.get("streamtype") ?? "";
      if (!wanted.some((name) => name === type) || streams.has(type)) {
        return RESET.protocolError;
      }
      streams.set(type, stream);
      if (streams.size < wanted.length) return undefined;
      stopWaiting();
      void relay.run();
      void passOn(streams.get("stdin"), CHANNEL.stdin, node);
      void passOn(streams.get("resize"), CHANNEL.resize, node);
      return undefined;
    },
    onClose() {
      stopWaiting();
      stopProbing();
      relay.left();
    },
  });
  return {
    data: (bytes) => connection.receive(bytes),
    drained: () => connection.drained(),
    closed: () => connection.lost("the client is gone"),
  };
}

/** One chunk after the other is what holds the client back. */
async function passOn(
  stream: SpdyStream | undefined,
  channel: number,
  node: NodeStream,
): Promise<void> {
  if (stream === undefined) return;
  for await (const chunk of stream.readable) await node.send(channel, chunk);
  if (channel === CHANNEL.stdin) node.endInput();
}

function clientOver(
  connection: () => SpdyConnection,
  streams: ReadonlyMap<string, SpdyStream>,
): ChannelClient {
  const names = new Map<number, StreamType>([
    [CHANNEL.stdout, "stdout"],
    [CHANNEL.stderr, "stderr"],
    [CHANNEL.error, "error"],
  ]);
  return {
    send(channel, payload) {
      const name = names.get(channel);
      // A stream that the client gave up is missed by nobody.
      return (
        name &&
        streams
          .get(name)
          ?.write(payload)
          .catch(() => undefined)
      );
    },
    finish() {
      for (const stream of streams.values()) stream.end();
      connection().close();
    },
    refuse: () => connection().close(),
    // The streams are read one chunk at a time.
    pause: () => undefined,
    resume: () => undefined,
  };
}
