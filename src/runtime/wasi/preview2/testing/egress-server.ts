import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "bun";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface PeerData {
  text: string;
}

export type Peer = Socket<PeerData>;

/** A server on a Unix socket that answers with whatever bytes a test wants. */
export interface EgressServer extends Disposable {
  readonly path: string;
  /** What all connections sent, in the order of the connections. */
  readonly received: string[];
  readonly connections: () => number;
}

/** `answer` is called with all that a connection sent since it was answered with "done" last. */
export function serveEgress(
  answer: (text: string, peer: Peer, count: number) => "done" | "more",
): EgressServer {
  const directory = mkdtempSync(join(tmpdir(), "kubun-egress-"));
  const path = join(directory, "egress.sock");
  const received: string[] = [];
  let opened = 0;
  let count = 0;
  const server = Bun.listen<PeerData>({
    unix: path,
    data: { text: "" },
    allowHalfOpen: true,
    socket: {
      open: (peer) => {
        peer.data = { text: "" };
        opened++;
      },
      data: (peer, chunk) => {
        peer.data.text += chunk.toString("latin1");
        if (answer(peer.data.text, peer, count) === "more") return;
        count++;
        received.push(peer.data.text);
        peer.data.text = "";
      },
    },
  });
  return {
    path,
    received,
    connections: () => opened,
    [Symbol.dispose]: () => {
      server.stop(true);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Answers every request that has no body with the same bytes. */
export function answerAll(response: string): (text: string, peer: Peer) => "done" | "more" {
  return (text, peer) => {
    if (!text.endsWith("\r\n\r\n")) return "more";
    peer.write(response);
    return "done";
  };
}
