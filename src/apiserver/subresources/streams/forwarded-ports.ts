import { type Status, StatusError } from "../../../apimachinery/index.ts";
import { CHANNEL, RESET, SpdyConnection } from "../../../lib/index.ts";
import type { SpdyStream, SpdyTransport } from "../../../lib/index.ts";
import type { MessageSocket, RawSession, RawSocket } from "./connection-upgrade.ts";
import type { NodeStream } from "./node-stream.ts";

/** Connections through one session at the same time; further ones are refused. */
export const MAX_FORWARDED_CONNECTIONS = 256;
const PROTOCOL_ERROR = 1002;
const NORMAL_CLOSURE = 1000;
const MAX_PORT = 65_535;

export interface PortForwardOptions {
  /** Connects to a port of the pod. Throws a StatusError whose message says why it cannot. */
  readonly dial: (port: number) => Promise<NodeStream>;
}

/** SPDY inside of WebSocket messages, whose borders mean nothing. */
export function spdyInMessages(socket: MessageSocket): SpdyTransport {
  return {
    write: (bytes) => socket.send(bytes),
    pause: () => socket.pause?.(),
    resume: () => socket.resume?.(),
    close: (failure) =>
      socket.close(failure === undefined ? NORMAL_CLOSURE : PROTOCOL_ERROR, failure ?? ""),
  };
}

export function spdyOverSocket(socket: RawSocket): SpdyTransport {
  return {
    write: (bytes) => socket.write(bytes),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.end(),
  };
}

/**
 * The server's side of `kubectl port-forward`. For each connection kubectl opens two streams of one
 * request id: `data` carries the bytes both ways, `error` a message when the pod was not reached.
 */
export function servePortForward(
  transport: SpdyTransport,
  options: PortForwardOptions,
): RawSession {
  const pairs = new Map<string, Pair>();
  const open = new Set<NodeStream>();
  const connection = new SpdyConnection({
    role: "server",
    transport,
    onStream(stream) {
      const described = describe(stream);
      if (described === undefined) return RESET.protocolError;
      const { kind, port, requestId } = described;
      const pair = pairs.get(requestId) ?? {};
      if (pair[kind] !== undefined) return RESET.protocolError;
      if (!pairs.has(requestId) && pairs.size >= MAX_FORWARDED_CONNECTIONS) return RESET.refused;
      pair[kind] = stream;
      pairs.set(requestId, pair);
      const { data, error } = pair;
      if (data === undefined || error === undefined) return undefined;
      void forward({ data, error }, port, options, open).then(() => pairs.delete(requestId));
      return undefined;
    },
    onClose() {
      for (const node of open) node.close();
    },
  });
  return {
    data: (bytes) => connection.receive(bytes),
    drained: () => connection.drained(),
    closed: () => connection.lost("the client is gone"),
  };
}

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
}

/** One connection, to its end. Never rejects. */
async function forward(
  { data, error }: Required<Pair>,
  port: number,
  { dial }: PortForwardOptions,
  open: Set<NodeStream>,
): Promise<void> {
  let failure: string | undefined;
  try {
    const node = await dial(port);
    open.add(node);
    try {
      void passOn(data, node);
      failure = await passBack(node, data);
    } finally {
      open.delete(node);
      node.close();
    }
  } catch (caught) {
    failure = reasonOf(caught);
  }
  if (failure !== undefined) {
    // A client that is gone hears nothing.
    await error.write(Buffer.from(`port ${port} of the pod: ${failure}`)).catch(() => undefined);
  }
  error.end();
  data.end();
  // A reset could overtake what the client has not read yet.
  data.discard();
}

async function passOn(data: SpdyStream, node: NodeStream): Promise<void> {
  for await (const chunk of data.readable) await node.send(CHANNEL.stdin, chunk);
  // A client that gave the connection up wants no answer either.
  if (data.failure === undefined) node.endInput();
  else node.close();
}

/** The pod's bytes; gives why it could not be reached, if so. */
async function passBack(node: NodeStream, data: SpdyStream): Promise<string | undefined> {
  for await (const { channel, payload } of node.messages()) {
    if (channel === CHANNEL.stdout) await data.write(payload);
    if (channel !== CHANNEL.error) continue;
    const status = JSON.parse(Buffer.from(payload).toString()) as Status;
    if (status.status === "Success") return undefined;
    // The cause is the message without the words that every such Status begins with.
    return (status.details?.causes?.[0]?.message ?? status.message ?? "unknown").trim();
  }
  return undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof StatusError) return error.status.message ?? "unknown";
  return error instanceof Error ? error.message : String(error);
}

/** Undefined for what is no stream of a forwarded port. */
function describe({
  headers,
}: SpdyStream):
  | { readonly kind: "data" | "error"; readonly port: number; readonly requestId: string }
  | undefined {
  const kind = headers.get("streamtype");
  const port = Number(headers.get("port"));
  const requestId = headers.get("requestid") ?? "";
  if (kind !== "data" && kind !== "error") return undefined;
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT || requestId === "") return undefined;
  return { kind, port, requestId };
}
