import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import { MAX_CONNECTIONS, RECEIVE_HIGH_WATER } from "./connection.ts";
import { MAX_BACKLOG } from "./listener.ts";
import { startProbe, type ProbeRun } from "./testing/run-probe.ts";

const AGAIN = "6";

describe("sockets", () => {
  let directory: string;
  let path: string;
  let clients: Socket[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "wasi-sock-"));
    path = join(directory, "port.sock");
    clients = [];
  });

  afterEach(() => {
    for (const client of clients) client.destroy();
    rmSync(directory, { recursive: true });
  });

  /** The listening socket is descriptor 3, what is accepted 4 and following. */
  function serve(script: readonly string[]): ProbeRun {
    const run = startProbe(script, { ports: [8080] });
    run.host.listeners[0]?.listenUnix(path);
    return run;
  }

  function client(): Socket {
    const socket = connect({ path, allowHalfOpen: true });
    socket.on("error", () => undefined);
    clients.push(socket);
    return socket;
  }

  /** Everything the peer sends until it ends. */
  function everything(socket: Socket): Promise<string> {
    return new Promise((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.on("end", () => resolve(text));
      socket.on("close", () => resolve(text));
    });
  }

  describe("blocking sockets", () => {
    test("accept, receive and send wait for the peer and answer it", async () => {
      const run = serve(["accept 3", "recv 4 5", "recv 4 100", "send 4 pong", "close 4"]);
      const peer = client();
      const answer = everything(peer);
      peer.write("hello");
      await eventually(() => run.output().length === 2);
      peer.write("more");
      expect(await run.lines).toEqual(["0 4", "0 hello", "0 more", "0 4", "0"]);
      expect(await answer).toBe("pong");
    });

    test("connections are accepted in the order they came", async () => {
      const run = serve(["yield", "accept 3", "accept 3", "recv 4 9", "recv 5 9"]);
      const [first, second] = [client(), client()];
      first.write("first");
      second.write("second");
      expect((await run.lines).slice(3)).toEqual(["0 first", "0 second"]);
    });

    test("fd_read and fd_write work on a connection, over two buffers", async () => {
      const run = serve(["accept 3", "recv 4 1 1", "read 4 3 9", "write 4 ab cd", "close 4"]);
      const peer = client();
      const answer = everything(peer);
      peer.write("0123456789");
      expect(await run.lines).toEqual(["0 4", "0 0", "0 0123456789", "0 4", "0"]);
      expect(await answer).toBe("abcd");
    });

    test("sock_recv peeks without taking, and waits for all when told", async () => {
      const run = serve(["accept 3", "recv 4 4 1", "recv 4 4 1", "recv 4 8 2", "recv 4 9 2"]);
      const peer = client();
      peer.write("abcd");
      await eventually(() => run.output().length === 3);
      peer.write("efgh");
      await eventually(() => run.output().length === 4);
      peer.end("end");
      expect(await run.lines).toEqual(["0 4", "0 abcd", "0 abcd", "0 abcdefgh", "0 end"]);
    });
  });

  describe("receiving all of it", () => {
    /** A peer made by hand: what it sends arrives when it is told to. */
    function peerOf(run: ProbeRun) {
      const nothing = () => 0;
      const connection = run.host.listeners[0]?.connected({
        write: (bytes: Uint8Array) => bytes.length,
        pause: nothing,
        resume: nothing,
        shutdown: nothing,
        terminate: nothing,
        end: nothing,
        flush: nothing,
      });
      if (connection === undefined) throw new Error("the connection was not taken");
      return connection;
    }

    test("a reset in the middle gives what came before it, and then its error", async () => {
      const run = startProbe(["accept 3", "recv 4 8 2", "recv 4 8 0", "recv 4 8 2"], {
        ports: [8080],
      });
      const peer = peerOf(run);
      peer.received(Buffer.from("abc"));
      await eventually(() => run.output().length === 1);
      peer.received(Buffer.from("de"));
      peer.closed({ failed: true });
      expect(await run.lines).toEqual(["0 4", "0 abcde", "15 ", "0 "]);
    });

    test("a non-blocking socket gives what is there, and EAGAIN for nothing", async () => {
      const run = startProbe(["accept 3 4", "recv 4 8 2", "recv 4 8 2", "recv 4 8 1"], {
        ports: [8080],
      });
      peerOf(run).received(Buffer.from("abc"));
      expect(await run.lines).toEqual(["0 4", "0 abc", `${AGAIN} `, `${AGAIN} `]);
    });

    test("unknown flags and an empty buffer are told apart from waiting", async () => {
      const script = ["accept 3 1", "accept 3", "recv 4 8 4", "recv 4 0 0", "recv 4 3 3"];
      const run = startProbe(script, { ports: [8080] });
      peerOf(run).received(Buffer.from("abc"));
      expect(await run.lines).toEqual(["28", "0 4", "28 ", "0 ", "0 abc"]);
    });
  });

  describe("ends of a connection", () => {
    test("a half-closed peer still gets its answer", async () => {
      const run = serve(["accept 3", "recv 4 100", "recv 4 100", "send 4 late", "close 4"]);
      const peer = client();
      const answer = everything(peer);
      peer.end("request");
      expect(await run.lines).toEqual(["0 4", "0 request", "0 ", "0 4", "0"]);
      expect(await answer).toBe("late");
    });

    test("sock_shutdown ends one direction and refuses bad ones", async () => {
      const run = serve([
        "accept 3",
        "shutdown 4 0",
        "shutdown 4 4",
        "shutdown 3 1",
        "shutdown 1 1",
        "shutdown 4 2",
        "send 4 x",
        "recv 4 9",
        "shutdown 4 1",
        "recv 4 9",
      ]);
      const peer = client();
      await everything(peer);
      peer.write("after");
      expect(await run.lines).toEqual([
        "0 4",
        "28",
        "28",
        "53",
        "57",
        "0",
        "64 0",
        "0 after",
        "0",
        "0 ",
      ]);
    });

    test("writing to a peer that is gone answers EPIPE, reading its end", async () => {
      const run = serve(["accept 3", "recv 4 9", "recv 4 9", "poll r:4", "send 4 x", "send 4 x"]);
      const peer = client();
      peer.write("x");
      await eventually(() => run.output().length === 2);
      peer.destroy();
      const lines = await run.lines;
      expect(lines[2]).toBe("0 ");
      expect(lines[3]).toMatch(/^0 r:4=0H$/);
      expect(lines[5]).toBe("64 0");
    });

    test("a guest that ends takes its connections with it", async () => {
      const run = serve(["accept 3", "exit 3"]);
      const ended = everything(client());
      expect(await run.lines).toEqual(["0 4", "exit 3"]);
      expect(await ended).toBe("");
    });
  });

  describe("non-blocking sockets", () => {
    test("what would wait answers EAGAIN instead", async () => {
      const run = serve([
        "setflags 3 4",
        "accept 3",
        "poll r:3",
        "accept 3 4",
        "recv 4 9",
        "fdstat 4",
      ]);
      await eventually(() => run.output().length === 2);
      client();
      const lines = await run.lines;
      expect(lines.slice(0, 5)).toEqual(["0", AGAIN, "0 r:3=1", "0 4", `${AGAIN} `]);
      expect(lines[5]).toMatch(/^0 type=6 flags=4/);
    });

    test("a guest that asks again and again still gets what arrives", async () => {
      const run = serve(["accept 3 4", "again 4 100000000"]);
      const peer = client();
      await eventually(() => run.output().length === 1);
      peer.write("finally");
      expect((await run.lines)[1]).toBe("0 waited finally");
    });
  });

  describe("bounds", () => {
    test("a peer that does not read makes the guest wait, and gets everything later", async () => {
      const size = 8 * 1024 * 1024;
      const run = serve(["accept 3", "flood 4 100", `flood 4 ${size}`, "close 4"]);
      const peer = client();
      await eventually(() => run.output().length === 2);
      expect(run.output()).toHaveLength(2);
      let received = 0;
      peer.on("data", (chunk) => {
        received += chunk.length;
      });
      expect((await run.lines).slice(2)).toEqual(["0 all", "0"]);
      await eventually(() => received === size + 100);
    });

    test("a guest that does not read makes the peer wait, with little held for it", async () => {
      const size = 16 * 1024 * 1024;
      const run = serve(["accept 3", "accept 3", "sink 4"]);
      const peer = client();
      let flushed = false;
      peer.end(Buffer.alloc(size), () => {
        flushed = true;
      });
      await eventually(() => run.host.connections.bufferedBytes >= RECEIVE_HIGH_WATER);
      expect(run.host.connections.bufferedBytes).toBeLessThan(RECEIVE_HIGH_WATER + 1024 * 1024);
      expect(flushed).toBe(false);
      client();
      expect((await run.lines)[2]).toBe(`0 ${size}`);
    });

    test("connections beyond the backlog are closed, those within it are served", async () => {
      const run = serve(["poll m:600000"]);
      const listener = run.host.listeners[0];
      // In waves, because the kernel's own backlog is shorter.
      for (let wave = 128; wave <= MAX_BACKLOG; wave += 128) {
        for (let index = 0; index < 128; index++) client();
        await eventually(() => listener?.pending === wave);
      }
      const late = await Promise.all(Array.from({ length: 20 }, () => everything(client())));
      expect(late).toEqual(late.map(() => ""));
      expect(listener?.pending).toBe(MAX_BACKLOG);
      expect(MAX_CONNECTIONS).toBeGreaterThan(MAX_BACKLOG);
    });
  });

  describe("poll_oneoff", () => {
    test("waits for descriptors and clocks together", async () => {
      const run = serve([
        "accept 3",
        "poll r:4 m:5",
        "poll r:4 m:600000",
        "poll r:4 w:4 r:3 m:600000",
      ]);
      const peer = client();
      await eventually(() => run.output().length === 2);
      peer.write("now");
      const lines = await run.lines;
      expect(lines.slice(1)).toEqual(["0 m:5", "0 r:4=3", "0 r:4=3 w:4=1"]);
    });

    test("a timeout of zero looks once, and sees what is there", async () => {
      const run = serve(["poll m:0", "accept 3", "poll r:4", "poll r:4 m:0", "poll r:3 m:0"]);
      client().write("x");
      expect(await run.lines).toEqual(["0 m:0", "0 4", "0 r:4=1", "0 r:4=1 m:0", "0 m:0"]);
    });

    test("reports bad descriptors and clocks as events, and an empty list as EINVAL", async () => {
      writeFileSync(join(directory, "file"), "12345");
      const preopens = [{ guestPath: "/", hostPath: directory, readOnly: true }];
      const script = [
        "poll",
        "poll r:99 m:1000",
        "poll c:9",
        "poll c:2",
        "poll r:1",
        "poll w:1 r:0",
        "poll r:3",
        "open 3 file 0 0 0x8000002",
        "poll r:4 m:1000",
      ];
      expect(await startProbe(script, { preopens }).lines).toEqual([
        "28",
        "0 r:99!8",
        "0 c:9!28",
        "0 c:2!58",
        "0 r:1!8",
        "0 w:1=1 r:0=1",
        "0 r:3!8",
        "0 4",
        "0 r:4=5",
      ]);
    });
  });
});
