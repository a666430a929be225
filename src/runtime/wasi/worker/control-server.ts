import type { Socket } from "bun";
import {
  encodeWorkerMessage,
  MAX_CONTROL_LINE_BYTES,
  parseWorkerRequest,
  WorkerProtocolError,
  type WorkerReply,
  type WorkerRequest,
} from "../worker-protocol.ts";

export type Reply = (message: WorkerReply) => void;

export interface ControlHandler {
  readonly onRequest: (request: WorkerRequest, reply: Reply) => void;
  /** The last open connection was closed. */
  readonly onAlone: () => void;
}

export interface ControlServer {
  /** Connections that are open. */
  readonly connections: number;
  /** Says something unasked, on every connection. */
  tell(message: WorkerReply): void;
}

interface Peer {
  /** What came of a line that is not whole yet. */
  partial: Buffer[];
  partialBytes: number;
  /** What the socket did not take yet. */
  unsent: Buffer[];
}

const NEWLINE = 0x0a;
const CONTROL_UMASK = 0o177;

/**
 * Listens for supervisors: one JSON object a line, any number of connections one after another or
 * at once. The socket file is made with mode 0600.
 */
export function listenForControl(path: string, handler: ControlHandler): ControlServer {
  const umask = process.umask(CONTROL_UMASK);
  const open = new Set<Socket<Peer>>();
  Bun.listen<Peer>({
    unix: path,
    data: newPeer(),
    socket: {
      open(socket) {
        // Each connection gets its own: the object given to listen is shared by all.
        socket.data = newPeer();
        open.add(socket);
      },
      close(socket) {
        open.delete(socket);
        if (open.size === 0) handler.onAlone();
      },
      data(socket, chunk) {
        for (const line of linesOf(socket, chunk)) answerLine(socket, line, handler);
      },
      drain: sendUnsent,
      error: (socket) => socket.terminate(),
    },
  });
  process.umask(umask);
  return {
    get connections() {
      return open.size;
    },
    tell(message) {
      for (const socket of open) send(socket, message);
    },
  };
}

function newPeer(): Peer {
  return { partial: [], partialBytes: 0, unsent: [] };
}

function answerLine(socket: Socket<Peer>, line: string, handler: ControlHandler): void {
  const reply: Reply = (message) => send(socket, message);
  try {
    handler.onRequest(parseWorkerRequest(line), reply);
  } catch (error) {
    if (!(error instanceof WorkerProtocolError)) throw error;
    reply({ type: "error", message: error.message });
  }
}

function send(socket: Socket<Peer>, message: WorkerReply): void {
  socket.data.unsent.push(Buffer.from(encodeWorkerMessage(message)));
  sendUnsent(socket);
}

function linesOf(socket: Socket<Peer>, chunk: Buffer): string[] {
  const peer = socket.data;
  const lines: string[] = [];
  let from = 0;
  for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
    peer.partial.push(chunk.subarray(from, end));
    lines.push(Buffer.concat(peer.partial).toString());
    peer.partial = [];
    peer.partialBytes = 0;
    from = end + 1;
  }
  if (from < chunk.length) {
    peer.partial.push(Buffer.from(chunk.subarray(from)));
    peer.partialBytes += chunk.length - from;
    if (peer.partialBytes > MAX_CONTROL_LINE_BYTES) socket.terminate();
  }
  return lines.filter((line) => line.trim() !== "");
}

function sendUnsent(socket: Socket<Peer>): void {
  const peer = socket.data;
  for (let next = peer.unsent[0]; next !== undefined; next = peer.unsent[0]) {
    const written = socket.write(next);
    if (written < next.length) {
      peer.unsent[0] = next.subarray(Math.max(0, written));
      return;
    }
    peer.unsent.shift();
  }
}
