import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { eventually } from "../../../../lib/testing/eventually.ts";
import { NO_GRANTS } from "../../component/pod-grants.ts";
import { COMPONENTS, TranslatedComponents } from "../../component/testing/translated.ts";
import type { WorkerComponent } from "../../worker-protocol.ts";
import { TestWorker } from "../testing/start-worker.ts";
import { RawClient } from "./testing/raw-client.ts";

const translated = new TranslatedComponents();
const TRANSLATION_TIMEOUT_MS = 60_000;
beforeAll(() => translated.directory(COMPONENTS.front), TRANSLATION_TIMEOUT_MS);
afterAll(() => translated.remove());

const UPGRADE =
  "GET /ws HTTP/1.1\r\nHost: pod\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/** `Hello`, as RFC 6455 section 5.7 masks it, and as it comes back. */
const MASKED_HELLO = Buffer.from("818537fa213d7f9f4d5158", "hex");
const HELLO = "\x81\x05Hello";

describe("a component behind the front", () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });
  afterEach(() => worker.dispose());

  async function start(settings: Partial<WorkerComponent> = {}): Promise<void> {
    const directory = await translated.directory(COMPONENTS.front);
    const reply = await worker.start(COMPONENTS.front, {
      style: "component",
      component: {
        directory,
        grants: NO_GRANTS,
        instances: 4,
        requestTimeoutMs: 5000,
        accessLog: false,
        freshInstances: false,
        ...settings,
      },
    });
    expect(reply).toMatchObject({ type: "started" });
  }

  async function requests(): Promise<number> {
    const reply = await worker.ask({ type: "status", containerId: "test" });
    if (reply.type !== "status") throw new Error(`not a status: ${reply.type}`);
    return reply.connections;
  }

  test("a component echoes WebSocket messages, small and large, and the close", async () => {
    await start();
    const socket = new WebSocket(`ws+unix://${worker.unixPath}:/ws`);
    socket.binaryType = "arraybuffer";
    const got: (string | Buffer)[] = [];
    socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
      got.push(typeof data === "string" ? data : Buffer.from(data));
    });
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const large = randomBytes(1024 * 1024);
    socket.send("hello");
    socket.send(large);
    socket.send("x".repeat(300));
    await eventually(() => got.length === 3);
    expect([got[0], got[2]]).toEqual(["hello", "x".repeat(300)]);
    expect(large.equals(got[1] as Buffer)).toBe(true);
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
    socket.close(4001, "enough");
    expect(await closed).toMatchObject({ code: 4001, wasClean: true });
    await eventually(async () => (await requests()) === 0);
    expect(worker.log).toBe("");
  });

  test("a component's WebSocket has the head of the RFC, and ends with either side", async () => {
    await start({ instances: 1 });
    const one = new RawClient(worker.unixPath);
    // What comes with the head is the first that the guest reads.
    one.write(Buffer.concat([Buffer.from(UPGRADE), MASKED_HELLO]));
    const head = await one.sees(HELLO);
    expect(head).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
    expect(head).toContain("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    expect(head).toContain("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    expect(head).not.toMatch(/content-length|transfer-encoding/i);
    // A client that ends its side still gets what the guest has to say.
    one.write(MASKED_HELLO);
    one.socket.end();
    expect(await one.rest()).toBe(HELLO);
    // One that is gone gives the instance back.
    const two = new RawClient(worker.unixPath);
    two.write(UPGRADE);
    await two.sees("\r\n\r\n");
    two.destroy();
    await eventually(async () => (await requests()) === 0);
    expect((await worker.fetch("/")).status).toBe(200);
    expect(worker.log).toBe("");
  });

  test("a component's WebSocket lasts while bytes move, and is cut when none do", async () => {
    await start({ requestTimeoutMs: 300 });
    const client = new RawClient(worker.unixPath);
    client.write(UPGRADE);
    await client.sees("\r\n\r\n");
    const startMs = performance.now();
    // Each message is a round trip through the guest; the deadline would be over several times.
    while (performance.now() - startMs < 700) {
      client.write(MASKED_HELLO);
      await client.sees(HELLO);
    }
    await client.rest();
    expect(worker.log).toContain("GET /ws: gave up after 300 ms");
    await eventually(async () => (await requests()) === 0);
  });

  test("a component that answers 101 to who asked for no upgrade has failed", async () => {
    await start();
    expect((await worker.fetch("/u")).status).toBe(500);
    const upgrade = { connection: "upgrade", upgrade: "websocket" };
    const posted = await worker.fetch("/u", { method: "POST", body: "x", headers: upgrade });
    expect(posted.status).toBe(500);
    expect(worker.log).toContain("answered 101 to a request that asked for no upgrade");
    // Who is not upgraded is answered as anybody, and may ask again.
    const client = new RawClient(worker.unixPath);
    client.write(UPGRADE.replace("/ws", "/"));
    expect(await client.sees("\r\n\r\n")).toStartWith("HTTP/1.1 200 OK\r\n");
    client.write(UPGRADE);
    expect(await client.sees("\r\n\r\n")).toStartWith("HTTP/1.1 101 ");
    client.destroy();
  });

  test("a component gets a request's trailers, and its own follow its answer", async () => {
    await start();
    const client = new RawClient(worker.unixPath);
    const head = "POST /t HTTP/1.1\r\nHost: pod\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write(`${head}5\r\nhello\r\n0\r\nX-Sum: 532\r\nContent-Length: 9\r\n\r\n`);
    const answer = await client.sees("X-Sum: 532\r\n\r\n");
    expect(answer).toContain("Transfer-Encoding: chunked\r\n");
    expect(answer).toEndWith("5\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n");
    // Trailers that come late, byte by byte.
    client.write(head);
    for (const byte of "1\r\na\r\n0\r\nX-Late: b\r\n\r\n") client.write(byte);
    expect(await client.sees("X-Late: b\r\n\r\n")).toContain("1\r\na\r\n0\r\nX-Late");
    client.write("POST /t HTTP/1.1\r\nHost: pod\r\nContent-Length: 1\r\n\r\nb");
    expect(await client.sees("x-none: yes\r\n\r\n")).toContain("1\r\nb\r\n0\r\n");
  });

  test("a component's events arrive one by one, when they are told", async () => {
    await start();
    const client = new RawClient(worker.unixPath);
    client.write("GET /e4 HTTP/1.1\r\nHost: pod\r\n\r\n");
    const seenAtMs: number[] = [];
    for (const event of [0, 1, 2, 3]) {
      const text = await client.sees(`data: ${event}\n\n`);
      expect(text).not.toContain(`data: ${event + 1}`);
      seenAtMs.push(performance.now());
    }
    expect((seenAtMs[3] ?? 0) - (seenAtMs[0] ?? 0)).toBeGreaterThan(100);
    await eventually(() => client.text.endsWith("0\r\n\r\n"));
  });
});
