import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, createDeflate, createInflate } from "node:zlib";
import { eventually } from "../../lib/testing/eventually.ts";
import { RawServer } from "../testing/raw-socket.ts";
import { HEADER_DICTIONARY_ID, headerDictionary } from "./header-dictionary.ts";
import {
  MAX_FORWARDED_CONNECTIONS,
  type PortForwardSession,
  servePortForward,
} from "./port-forward.ts";
import { dataFrame, FrameReader, MAX_FRAME_BYTES, pingFrame, resetFrame } from "./spdy-frames.ts";

const SYN_STREAM = 1;

/** A client as kubectl is one: frames cut into small messages, headers in one zlib stream. */
class Client {
  readonly sent: Buffer[] = [];
  readonly closes: string[] = [];
  readonly session: PortForwardSession;
  readonly #deflate = createDeflate({ dictionary: headerDictionary() });
  readonly #parts: Buffer[] = [];
  full = false;

  constructor(directory: string) {
    this.#deflate.on("data", (part: Buffer) => this.#parts.push(part));
    this.session = servePortForward({
      socket: {
        send: (bytes) => {
          this.sent.push(Buffer.from(bytes));
          return !this.full;
        },
        close: (code, reason) => this.closes.push(`${code} ${reason}`),
      },
      dial: (port, data, socket) => {
        const unix = join(directory, `${port}.sock`);
        Bun.connect({ unix, allowHalfOpen: true, data, socket }).catch(() => undefined);
      },
    });
  }

  async open(streamId: number, headers: Record<string, string>, fin = false): Promise<void> {
    const words = Object.entries(headers).flatMap((pair) =>
      pair.map((text) => Buffer.concat([word(text.length), Buffer.from(text)])),
    );
    this.#deflate.write(Buffer.concat([word(Object.keys(headers).length), ...words]));
    await new Promise<void>((done) => this.#deflate.flush(constants.Z_SYNC_FLUSH, () => done()));
    const block = Buffer.concat(this.#parts.splice(0));
    const body = Buffer.concat([word(streamId), word(0), Buffer.alloc(2), block]);
    const head = Buffer.from([0x80, 3, 0, SYN_STREAM, fin ? 1 : 0, 0, 0, 0]);
    head.writeUIntBE(body.length, 5, 3);
    this.send(Buffer.concat([head, body]));
  }

  /** A pair of streams for one connection: `error` has the id, `data` the next odd one. */
  async forward(errorId: number, port: number): Promise<number> {
    const common = { port: `${port}`, requestid: `${errorId}` };
    await this.open(errorId, { ...common, streamtype: "error" }, true);
    await this.open(errorId + 2, { ...common, streamtype: "data" });
    return errorId + 2;
  }

  send(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 7) this.session.message(bytes.subarray(at, at + 7));
  }

  /** What a stream brought, and whether it ended. */
  received(streamId: number): string {
    let text = "";
    for (const frame of new FrameReader().push(Buffer.concat(this.sent))) {
      if (frame.type === "reset" && frame.streamId === streamId) text += `<reset ${frame.status}>`;
      if (frame.type !== "data" || frame.streamId !== streamId) continue;
      text += frame.payload.toString() + (frame.fin ? "<end>" : "");
    }
    return text;
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe("servePortForward", () => {
  let directory: string;
  let client: Client;
  let servers: RawServer[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-forward-"));
    client = new Client(directory);
    servers = [];
  });

  afterEach(() => {
    client.session.closed();
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true });
  });

  function echo(port: number): void {
    servers.push(
      new RawServer(join(directory, `${port}.sock`), {
        onData(connection) {
          connection.send(`you said ${connection.text}`);
          connection.text = "";
        },
        onEnd: (connection) => void connection.socket.end(),
      }),
    );
  }

  test("servePortForward: bytes go both ways, and each side may end first", async () => {
    echo(8080);
    const first = await client.forward(1, 8080);
    const second = await client.forward(5, 8080);
    client.send(dataFrame(second, Buffer.from("two"), { fin: false }));
    client.send(dataFrame(first, Buffer.from("one"), { fin: true }));
    await eventually(() => client.received(first) === "you said one<end>");
    await eventually(() => client.received(1) === "<end>");
    expect(client.received(second)).toBe("you said two");
    client.send(resetFrame(second, 5));
    await eventually(() => servers[0]?.connections.every(({ closed }) => closed));
    expect(client.received(5)).toBe("");
  });

  test("servePortForward: a port that nobody serves is told on the error stream", async () => {
    const data = await client.forward(1, 9999);
    await eventually(() => client.received(data) === "<end>");
    expect(client.received(1)).toMatch(/^port 9999 of the pod: .+<end>$/);
  });

  test("servePortForward: replies are headers that any zlib reads", async () => {
    await client.forward(1, 9999);
    await eventually(() => client.received(1).endsWith("<end>"));
    const replies = client.sent.filter((frame) => frame.readUInt32BE(0) === 0x8003_0002);
    const inflate = createInflate({ dictionary: headerDictionary() });
    const words: number[] = [];
    inflate.on("data", (part: Buffer) => words.push(...part));
    for (const reply of replies) {
      await new Promise<void>((done) => void inflate.write(reply.subarray(12), () => done()));
    }
    expect(words).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    inflate.destroy();
  });

  test("servePortForward: pings are answered, what is no forwarding is reset", async () => {
    client.send(pingFrame(3));
    client.send(pingFrame(4));
    await client.open(1, { streamtype: "shell", port: "80", requestid: "1" });
    await client.open(3, { streamtype: "data", port: "0", requestid: "1" });
    await client.open(5, { streamtype: "data", port: "80" });
    await eventually(() => client.received(5) !== "");
    expect([1, 3, 5].map((id) => client.received(id))).toEqual([
      "<reset 1>",
      "<reset 1>",
      "<reset 1>",
    ]);
    const pings = new FrameReader()
      .push(Buffer.concat(client.sent))
      .filter((one) => one.type === "ping");
    expect(pings).toEqual([{ type: "ping", id: 3 }]);
  });

  test("servePortForward: too many connections are refused, one by one", async () => {
    echo(8080);
    const last = 1 + 4 * MAX_FORWARDED_CONNECTIONS;
    for (let id = 1; id <= last; id += 4) await client.forward(id, 8080);
    await eventually(() => client.received(last + 2) === "<reset 3>");
    expect(client.received(last - 2)).toBe("");
    expect(client.closes).toEqual([]);
  });

  test("servePortForward: a reader that is slow slows the pod down", async () => {
    const rest = Buffer.alloc(8 * 1024 * 1024, "x");
    let at = 0;
    Bun.listen({
      unix: join(directory, "1.sock"),
      socket: {
        open: (socket) => void (at += socket.write(rest)),
        drain: (socket) => void (at += Math.max(0, socket.write(rest.subarray(at)))),
        data: () => undefined,
      },
    }).unref();
    client.full = true;
    const data = await client.forward(1, 1);
    await eventually(() => client.received(data).length > 0);
    const before = client.received(data).length;
    expect(before).toBeLessThan(2 * 1024 * 1024);
    client.full = false;
    client.session.drained();
    await eventually(() => client.received(data).length === 8 * 1024 * 1024);
  });

  test("servePortForward: bytes that are no frames end the session", async () => {
    client.session.message(Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 0]));
    expect(client.closes).toEqual(["1002 SPDY version 2: only 3 is spoken"]);
    const huge = new Client(directory);
    huge.session.message(Buffer.from([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]));
    expect(huge.closes[0]).toContain(`at most ${MAX_FRAME_BYTES}`);
    const garbled = new Client(directory);
    garbled.session.message(
      Buffer.from([0x80, 3, 0, 1, 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    );
    await eventually(() => garbled.closes.length === 1);
    expect(garbled.closes[0]).toContain("headers cannot be read");
  });
});

describe("headerDictionary", () => {
  test("headerDictionary: is the one that zlib streams name", () => {
    let [low, high] = [1, 0];
    for (const byte of headerDictionary()) {
      low = (low + byte) % 65_521;
      high = (high + low) % 65_521;
    }
    expect(high * 65_536 + low).toBe(HEADER_DICTIONARY_ID);
  });
});
