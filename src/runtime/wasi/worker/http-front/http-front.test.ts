import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../../lib/testing/eventually.ts";
import { SystemHostClock } from "../../host/host-clock.ts";
import type { AnswerBody, AnswerEnd } from "./answer.ts";
import { MAX_AHEAD_BYTES, MAX_DISCARDED_BYTES, MAX_HEAD_BYTES } from "./front-context.ts";
import type { FrontExchange } from "./front-exchange.ts";
import { HttpFront, type HttpFrontOptions } from "./http-front.ts";
import { RawClient } from "./testing/raw-client.ts";

/** A body that a test writes as a guest does. */
class WrittenBody implements AnswerBody {
  ended: AnswerEnd | undefined;
  cancelled = false;
  #pending = Buffer.alloc(0);
  #onChange: (() => void) | undefined;

  get heldBytes(): number {
    return this.#pending.length;
  }

  take(): Uint8Array | undefined {
    if (this.#pending.length === 0) return undefined;
    const taken = this.#pending;
    this.#pending = Buffer.alloc(0);
    return taken;
  }

  onChange(callback: (() => void) | undefined): void {
    this.#onChange = callback;
  }

  cancel(): void {
    this.cancelled = true;
  }

  write(text: string | Buffer): void {
    this.#pending = Buffer.concat([this.#pending, Buffer.from(text)]);
    this.#onChange?.();
  }

  end(end: AnswerEnd = { kind: "finished", trailers: undefined }): void {
    this.ended = end;
    this.#onChange?.();
  }
}

const GET = "GET / HTTP/1.1\r\nHost: pod\r\n\r\n";

describe("HttpFront", () => {
  let directory: string;
  let path: string;
  let front: HttpFront | undefined;
  let clients: RawClient[];
  /** Requests that were not answered by `handle`. */
  let waiting: FrontExchange[];
  let errors: unknown[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "front-"));
    path = join(directory, "80.sock");
    [clients, waiting, errors] = [[], [], []];
  });

  afterEach(() => {
    for (const client of clients) client.destroy();
    front?.close();
    rmSync(directory, { recursive: true });
    expect(errors).toEqual([]);
  });

  function serve(
    options: Partial<HttpFrontOptions> = {},
    handle: (exchange: FrontExchange) => void = (exchange) => waiting.push(exchange),
  ): HttpFront {
    front = new HttpFront({
      clock: new SystemHostClock(),
      handle,
      onError: (error) => errors.push(error),
      ...options,
    });
    front.listenUnix(path, 80);
    return front;
  }

  function client(): RawClient {
    const made = new RawClient(path);
    clients.push(made);
    return made;
  }

  async function request(): Promise<FrontExchange> {
    return eventually(() => waiting.shift());
  }

  function say(exchange: FrontExchange, text: string, headers: [string, string][] = []): void {
    exchange.answer({
      status: 200,
      headers: headers.map(([name, value]) => [name, Buffer.from(value)]),
      body: Buffer.from(text),
    });
  }

  const plain = (text: string) => text.replace(/Date: [^\r]*\r\n/, "");

  test("HttpFront answers one request after another, in their order", async () => {
    serve();
    const one = client();
    one.write(GET + GET.replace("/", "/two"));
    const first = await request();
    expect([first.method, first.target, first.host, first.port]).toEqual(["GET", "/", "pod", 80]);
    expect(first.headers.map(([name, value]) => `${name}=${value}`)).toEqual(["Host=pod"]);
    expect(waiting).toEqual([]);
    say(first, "one", [
      ["x-a", "1"],
      ["content-length", "7"],
      ["connection", "x"],
    ]);
    say(await request(), "two");
    const text = await one.sees("two");
    expect(text).toMatch(/Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
    expect(text.split("\r\n").filter((line) => !line.startsWith("Date: "))).toEqual([
      "HTTP/1.1 200 OK",
      "x-a: 1",
      "Content-Length: 3",
      "",
      "oneHTTP/1.1 200 OK",
      "Content-Length: 3",
      "",
      "two",
    ]);
  });

  test("HttpFront does not read on for a client that is far ahead of its turn", async () => {
    serve();
    const one = client();
    one.write(GET);
    const first = await request();
    const many = Buffer.alloc(64 * MAX_AHEAD_BYTES, GET);
    one.write(many);
    await eventually(() => one.socket.writableLength > many.length / 2);
    one.text = "";
    say(first, "one");
    await one.sees("one");
  });

  test("HttpFront answers HEAD, 204 and 304 without a body, HTTP/1.0 without chunks", async () => {
    serve();
    const one = client();
    one.write(GET.replace("GET", "HEAD"));
    say(await request(), "four");
    expect(await one.sees("\r\n\r\n")).toContain("Content-Length: 4\r\n");
    for (const status of [204, 304]) {
      one.write(GET);
      const body = new WrittenBody();
      (await request()).answer({ status, headers: [], body });
      expect(plain(await one.sees("\r\n\r\n"))).toMatch(/^HTTP\/1.1 \d+ [\w ]+\r\n\r\n$/);
      expect(body.cancelled).toBe(true);
    }
    one.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    say(await request(), "kept");
    expect(await one.sees("kept")).toContain("Connection: keep-alive\r\n");
    one.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const body = new WrittenBody();
    (await request()).answer({ status: 200, headers: [], body });
    body.write("until ");
    body.write("the end");
    body.end({ kind: "finished", trailers: [["x", Buffer.from("y")]] });
    expect(await one.rest()).toMatch(/Connection: close\r\n\r\nuntil the end$/);
  });

  test("HttpFront sends a body as it is written, in chunks or by its length", async () => {
    serve();
    const one = client();
    one.write(GET);
    const chunked = new WrittenBody();
    (await request()).answer({ status: 200, headers: [], body: chunked });
    expect(await one.sees("\r\n\r\n")).toContain("Transfer-Encoding: chunked\r\n");
    chunked.write("hello");
    expect(await one.sees("hello\r\n")).toBe("5\r\nhello\r\n");
    chunked.end({ kind: "finished", trailers: [["x-sum", Buffer.from("7")]] });
    expect(await one.sees("\r\n\r\n")).toBe("0\r\nx-sum: 7\r\n\r\n");
    one.write(GET);
    const sized = new WrittenBody();
    sized.write("some");
    (await request()).answer({ status: 200, headers: [], body: sized, declaredLength: 8 });
    expect(await one.sees("some")).toContain("Content-Length: 8\r\n");
    sized.write("more");
    sized.end();
    expect(await one.sees("more")).toBe("more");
    one.write(GET);
    const trailers = [["x-sum", Buffer.from("8")] as const];
    (await request()).answer({ status: 200, headers: [], body: Buffer.from("now"), trailers });
    expect(await one.sees("x-sum: 8\r\n\r\n")).toContain("\r\n\r\n3\r\nnow\r\n0\r\n");
  });

  test("HttpFront breaks off an answer that its guest breaks off", async () => {
    serve();
    const one = client();
    one.write(GET);
    const body = new WrittenBody();
    const exchange = await request();
    exchange.answer({ status: 200, headers: [], body });
    body.write("half");
    await one.sees("half\r\n");
    body.end({ kind: "broken", reason: new Error("trap") });
    expect(await one.rest()).toBe("");
    expect(exchange.over).toBe(true);
  });

  test("HttpFront hands a body over as it comes, and no more than the guest reads", async () => {
    serve();
    const one = client();
    const total = 8 * 1024 * 1024;
    one.write(`POST / HTTP/1.1\r\nHost: pod\r\nContent-Length: ${total}\r\n\r\n`);
    const { body } = await request();
    one.write(Buffer.alloc(total, "x"));
    await eventually(() => body?.full);
    const held = body?.heldBytes ?? 0;
    expect(held).toBeLessThan(2 * 1024 * 1024);
    let read = 0;
    await eventually(() => {
      for (let part = body?.read(65_536); part !== undefined; part = body?.read(65_536)) {
        if (part.length === 0) return false;
        read += part.length;
      }
      return true;
    });
    expect(read).toBe(total);
  });

  test("HttpFront reads from nobody while too much is held, and goes on afterwards", async () => {
    serve({ maxHeldBytes: 100_000 });
    const post = "POST / HTTP/1.1\r\nHost: pod\r\nContent-Length: 60000\r\n\r\n";
    for (const one of [client(), client()]) one.write(post + "x".repeat(60_000));
    const held = [await request(), await request()];
    await eventually(() => held.every(({ body }) => body?.heldBytes === 60_000));
    const late = client();
    late.write(GET);
    // It is connected, and not heard before somebody read.
    await eventually(() => front?.connections === 3);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(waiting).toEqual([]);
    for (const { body } of held) body?.close();
    say(await request(), "late");
    await late.sees("late");
  });

  test("HttpFront reads on for who waits for a body, however much others hold", async () => {
    serve({ maxHeldBytes: 100_000 });
    const [one, other, late] = [client(), client(), client()];
    for (const each of [one, other]) {
      each.write("POST / HTTP/1.1\r\nHost: pod\r\nContent-Length: 120000\r\n\r\n");
      each.write("x".repeat(60_000));
    }
    const held = [await request(), await request()];
    await eventually(() => held.every(({ body }) => body?.heldBytes === 60_000));
    const [reading] = held;
    reading?.wantBody();
    for (let left = 60_000; left > 0;) left -= reading?.body?.read(65_536)?.length ?? left;
    for (const each of [one, other]) each.write("y".repeat(60_000));
    late.write(GET);
    await eventually(() => reading?.body?.heldBytes === 60_000);
    expect([held[1]?.body?.heldBytes, waiting]).toEqual([60_000, []]);
  });

  test("HttpFront forgets what it held of a body that turned out to be malformed", async () => {
    serve({ maxHeldBytes: 100_000 });
    const head = "POST / HTTP/1.1\r\nHost: pod\r\nTransfer-Encoding: chunked\r\n\r\n";
    const chunk = `7530\r\n${"x".repeat(0x7530)}\r\n`;
    for (let round = 0; round < 8; round++) {
      const one = client();
      one.write(`${head}${chunk}no size\r\n`);
      await one.sees("400 Bad Request");
    }
    const late = client();
    late.write(GET);
    say(await eventually(() => waiting.find(({ method }) => method === "GET")), "late");
    await late.sees("late");
  });

  test("HttpFront forgets what it held for a client that went before its turn", async () => {
    const serving = serve({ maxHeldBytes: 100_000 });
    const post = "POST / HTTP/1.1\r\nHost: pod\r\nContent-Length: 60000\r\n\r\n";
    for (let round = 0; round < 4; round++) {
      const one = client();
      one.write(post + "x".repeat(30_000));
      const { body } = await request();
      await eventually(() => body?.heldBytes === 30_000);
      one.destroy();
      await eventually(() => serving.connections === 0);
    }
    const late = client();
    late.write(GET);
    say(await request(), "late");
    await late.sees("late");
  });

  test("HttpFront asks for a body that waits for it only when somebody wants it", async () => {
    serve();
    const head =
      "POST / HTTP/1.1\r\nHost: pod\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    const one = client();
    one.write(head);
    const wanted = await request();
    wanted.wantBody();
    wanted.wantBody();
    expect(await one.sees("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    one.write("ok");
    await eventually(() => wanted.body?.heldBytes === 2);
    say(wanted, "fine");
    expect(await one.sees("fine")).not.toContain("Connection: close");
    one.write(head);
    const unwanted = await request();
    unwanted.body?.close();
    say(unwanted, "no");
    // It may send the body nevertheless, and nobody could tell that from a request.
    expect(await one.rest()).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n\r\nno$/);
  });

  test("HttpFront drops what is left of a body that nobody wanted, up to a bound", async () => {
    serve({}, (exchange) => {
      exchange.body?.close();
      say(exchange, "done");
    });
    const one = client();
    const post = (length: number) =>
      `POST / HTTP/1.1\r\nHost: pod\r\nContent-Length: ${length}\r\n\r\n`;
    one.write(post(100_000));
    await one.sees("done");
    one.write("x".repeat(100_000) + GET);
    await one.sees("done");
    one.write(post(2 * MAX_DISCARDED_BYTES));
    await one.sees("done");
    one.write("x".repeat(MAX_DISCARDED_BYTES + 100_000));
    expect(await one.rest()).toBe("");
  });

  test.each([
    ["a line that is none", "nonsense\r\n\r\n", 400],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      400,
    ],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
    ],
    [
      "a broken chunk",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
      400,
    ],
    ["another coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["a large head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(MAX_HEAD_BYTES)}\r\n\r\n`, 431],
    ["many fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(300)}\r\n`, 431],
    ["another expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405],
  ])("HttpFront refuses %s, and ends the connection", async (_name, text, status) => {
    serve();
    const one = client();
    one.write(text);
    const answer = await one.rest();
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain("Connection: close\r\n");
    expect(waiting).toEqual([]);
  });

  test("HttpFront answers a slow head with 408, and lets go of who is silent", async () => {
    serve({ timeouts: { headMs: 500, idleMs: 500 } });
    const [slow, silent] = [client(), client()];
    slow.write("GET / HTTP/1.1\r\nHo");
    expect(await slow.rest()).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(await silent.rest()).toBe("");
  });

  test("HttpFront does not wait for who goes on sending after a refusal", async () => {
    const serving = serve({ timeouts: { lingerMs: 500 } });
    const one = client();
    one.write("nonsense\r\n\r\n");
    await one.sees("400 Bad Request");
    await eventually(() => {
      one.write("more");
      return serving.connections === 0;
    });
  });

  test("HttpFront tells who answers that the client went away, once", async () => {
    serve();
    const heard: string[] = [];
    const one = client();
    one.write("POST / HTTP/1.1\r\nHost: pod\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    const exchange = await request();
    exchange.user = {
      moved: () => undefined,
      gone: () => heard.push("gone"),
      done: () => heard.push("done"),
    };
    const body = new WrittenBody();
    exchange.answer({ status: 200, headers: [], body });
    const trailers = exchange.trailers?.catch((error: Error) => error.message);
    await one.sees("\r\n\r\n");
    one.destroy();
    await eventually(() => body.cancelled);
    expect(await trailers).toBe("the client went away");
    expect(exchange.body?.read(10)?.length).toBe(1);
    expect(() => exchange.body?.read(10)).toThrow("the client went away");
    exchange.cut();
    expect(heard).toEqual(["gone", "done"]);
  });

  test("HttpFront ends connections with their next answer while it drains", async () => {
    const serving = serve();
    const one = client();
    one.write(GET);
    say(await request(), "before");
    await one.sees("before");
    serving.drain();
    one.write(GET + GET);
    say(await request(), "after");
    expect(await one.rest()).toMatch(/Connection: close\r\n\r\nafter$/);
    expect(waiting).toEqual([]);
    await eventually(() => serving.connections === 1);
    one.destroy();
    await eventually(() => serving.connections === 0);
  });

  test("HttpFront refuses connections beyond its bound", async () => {
    const serving = serve({ maxConnections: 1 });
    const one = client();
    one.write(GET);
    const first = await request();
    expect(await client().rest()).toStartWith("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1");
    say(first, "one");
    await one.sees("one");
    expect(serving.connections).toBe(1);
  });
});
