import { describe, expect, test } from "bun:test";
import { createInflate } from "node:zlib";
import { eventually } from "../testing/eventually.ts";
import { HEADER_DICTIONARY_ID, headerDictionary } from "./header-dictionary.ts";
import { HeaderWriter } from "./header-block.ts";
import { MAX_UNREAD_BYTES, SpdyConnection, type SpdyStream } from "./spdy-connection.ts";
import { dataFrame, FrameReader, MAX_FRAME_BYTES, pingFrame, RESET } from "./spdy-frames.ts";

/** One side, whose frames go to the other in pieces of seven bytes. */
interface Side {
  readonly connection: SpdyConnection;
  readonly sent: Buffer[];
  readonly closes: (string | undefined)[];
  paused: boolean;
  full: boolean;
}

function side(
  role: "client" | "server",
  other: () => Side | undefined,
  onStream?: (stream: SpdyStream) => number | undefined,
): Side {
  const made: Side = {
    sent: [],
    closes: [],
    paused: false,
    full: false,
    connection: new SpdyConnection({
      role,
      ...(onStream === undefined ? {} : { onStream }),
      transport: {
        write(bytes) {
          made.sent.push(Buffer.from(bytes));
          for (let at = 0; at < bytes.length && bytes.length < 200; at += 7) {
            other()?.connection.receive(bytes.subarray(at, at + 7));
          }
          if (bytes.length >= 200) other()?.connection.receive(bytes);
          return !made.full;
        },
        pause: () => (made.paused = true),
        resume: () => (made.paused = false),
        close: (failure) => made.closes.push(failure),
      },
    }),
  };
  return made;
}

function pair(onStream: (stream: SpdyStream) => number | undefined): {
  client: Side;
  server: Side;
} {
  const sides: { client?: Side; server?: Side } = {};
  sides.server = side("server", () => sides.client, onStream);
  sides.client = side("client", () => sides.server);
  return { client: sides.client, server: sides.server };
}

describe("SpdyConnection", () => {
  test("SpdyConnection: streams carry bytes both ways, and each side ends alone", async () => {
    const opened: SpdyStream[] = [];
    const { client } = pair((stream) => void opened.push(stream));
    const first = client.connection.open({ streamtype: "stdin", port: "80" });
    const second = client.connection.open({ streamtype: "error" }, { ended: true });
    await first.write(Buffer.from("question"));
    first.end();
    await eventually(() => opened.length === 2);
    expect(opened.map(({ id, headers }) => [id, headers.get("streamtype")])).toEqual([
      [1, "stdin"],
      [3, "error"],
    ]);
    expect(await new Response(opened[0]?.readable).text()).toBe("question");
    await opened[0]?.write(Buffer.from("answer"));
    opened[0]?.end();
    opened[1]?.end();
    expect(await new Response(first.readable).text()).toBe("answer");
    expect(await new Response(second.readable).text()).toBe("");
    expect(first.failure).toBeUndefined();
  });

  test("SpdyConnection: what came before a reset is read, and the failure is known", async () => {
    let opened: SpdyStream | undefined;
    const { client } = pair((stream) => void (opened = stream));
    const stream = client.connection.open({ streamtype: "stdout" });
    await eventually(() => opened !== undefined);
    await opened?.write(Buffer.from("last words"));
    opened?.reset();
    expect(await new Response(stream.readable).text()).toBe("last words");
    expect(stream.failure?.message).toBe("stream reset (5)");
    expect(stream.write(Buffer.from("x"))).rejects.toThrow("stream reset (5)");
  });

  test("SpdyConnection: a reader that is slow pauses the transport, and resumes it", async () => {
    let opened: SpdyStream | undefined;
    const { client, server } = pair((stream) => void (opened = stream));
    const stream = client.connection.open({ streamtype: "stdin" });
    await eventually(() => opened !== undefined);
    await stream.write(Buffer.alloc(300_000, "x"));
    expect(server.paused).toBeTrue();
    stream.end();
    expect((await new Response(opened?.readable).bytes()).length).toBe(300_000);
    expect(server.paused).toBeFalse();
  });

  test("SpdyConnection: a stream that nobody reads is given up at its limit", async () => {
    let opened: SpdyStream | undefined;
    const { client } = pair((stream) => void (opened = stream));
    const stream = client.connection.open({ streamtype: "stdin" });
    await eventually(() => opened !== undefined);
    const chunk = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < MAX_UNREAD_BYTES; sent += chunk.length) await stream.write(chunk);
    expect(stream.failure).toBeUndefined();
    await stream.write(Buffer.from("more"));
    expect(stream.failure?.message).toBe(`stream reset (${RESET.internal})`);
  });

  test("SpdyConnection: a writer waits for a transport that is full", async () => {
    const { client } = pair(() => undefined);
    const stream = client.connection.open({ streamtype: "stdin" });
    client.full = true;
    let written = false;
    const writing = stream.write(Buffer.from("x")).then(() => (written = true));
    await Promise.resolve();
    expect(written).toBeFalse();
    client.connection.drained();
    await writing;
    expect(written).toBeTrue();
  });

  test("SpdyConnection: refused streams are reset, their pings are answered", async () => {
    const { client, server } = pair(() => RESET.refused);
    const stream = client.connection.open({ streamtype: "shell" });
    await eventually(() => stream.failure !== undefined);
    expect(stream.failure?.message).toBe("stream reset (3)");
    server.sent.length = 0;
    server.connection.receive(pingFrame(3));
    server.connection.receive(pingFrame(4));
    const answers = new FrameReader().push(Buffer.concat(server.sent));
    expect(answers).toEqual([{ type: "ping", id: 3 }]);
  });

  test("SpdyConnection: bytes that are no frames end it, and its streams with it", async () => {
    const { client } = pair(() => undefined);
    const stream = client.connection.open({ streamtype: "stdout" });
    client.connection.receive(Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 0]));
    expect(client.closes).toEqual(["SPDY version 2: only 3 is spoken"]);
    expect(await new Response(stream.readable).text()).toBe("");
    expect(stream.failure?.message).toBe("SPDY version 2: only 3 is spoken");
    const huge = side("server", () => undefined);
    huge.connection.receive(Buffer.from([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]));
    expect(huge.closes[0]).toContain(`at most ${MAX_FRAME_BYTES}`);
    const garbled = side(
      "server",
      () => undefined,
      () => undefined,
    );
    const head = [0x80, 3, 0, 1, 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    garbled.connection.receive(Buffer.from(head));
    await eventually(() => garbled.closes.length === 1);
    expect(garbled.closes[0]).toContain("headers cannot be read");
    expect(dataFrame(1, new Uint8Array(), { fin: true }).length).toBe(8);
  });
});

describe("HeaderWriter", () => {
  test("HeaderWriter: writes blocks that any zlib reads, one after the other", async () => {
    const writer = new HeaderWriter();
    const inflate = createInflate({ dictionary: headerDictionary() });
    const words: number[] = [];
    inflate.on("data", (part: Buffer) => words.push(...part));
    for (const headers of [{}, { a: "bc" }]) {
      await new Promise<void>((done) => void inflate.write(writer.next(headers), () => done()));
    }
    expect(words).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 97, 0, 0, 0, 2, 98, 99]);
    inflate.destroy();
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
