import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import { NO_GRANTS } from "../component/pod-grants.ts";
import { COMPONENTS, TranslatedComponents } from "../component/testing/translated.ts";
import type { WorkerComponent, WorkerReply, WorkerSpec } from "../worker-protocol.ts";
import { MAX_MEMORY_FAILURES } from "./component-guest.ts";
import { TestWorker } from "./testing/start-worker.ts";

const translated = new TranslatedComponents();
afterAll(() => translated.remove());

describe("component worker", () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });
  afterEach(() => worker.dispose());

  async function start(
    component: keyof typeof COMPONENTS,
    changes: Omit<Partial<WorkerSpec>, "component"> & {
      readonly component?: Partial<WorkerComponent>;
    } = {},
  ): Promise<WorkerReply> {
    const directory = await translated.directory(COMPONENTS[component]);
    return worker.start(COMPONENTS[component], {
      ...changes,
      style: "component",
      component: {
        directory,
        grants: NO_GRANTS,
        instances: 4,
        requestTimeoutMs: 5000,
        accessLog: false,
        freshInstances: false,
        ...changes.component,
      },
    });
  }

  async function text(path: string, init: RequestInit = {}): Promise<string> {
    return (await worker.fetch(path, init)).text();
  }

  const stream = (path: string, init: RequestInit = {}) =>
    fetch(`http://pod${path}`, { ...init, unix: worker.unixPath });

  test("component worker: answers with the guest's head and body", async () => {
    expect(await start("service")).toEqual({ type: "started", containerId: "test", facade: [] });
    const answer = await worker.fetch("/");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/plain");
    expect(answer.headers.get("content-length")).toBe("23");
    expect(await answer.text()).toBe("hello from a component\n");
    const counted = await stream("/c");
    expect(counted.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect([await counted.text(), await text("/c")]).toEqual(["1", "2"]);
  });

  test("component worker: a HEAD request gets no body", async () => {
    await start("service");
    const answer = await worker.fetch("/b64", { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect(await text("/")).toContain("hello");
  });

  test("component worker: bodies stream both ways", async () => {
    await start("service");
    const body = new Uint8Array(1_000_000).map((_, index) => index % 251);
    const echoed = await worker.fetch("/e", { method: "POST", body });
    expect(Buffer.from(await echoed.arrayBuffer()).equals(Buffer.from(body))).toBe(true);
    const drops = (await stream("/d3")).body?.getReader();
    const first = await drops?.read();
    expect(Buffer.from(first?.value ?? []).toString()).toStartWith("data: drop\n\n");
    await drops?.cancel();
    expect(await text("/")).toContain("hello");
  });

  test("component worker: a blocked instance does not block another", async () => {
    await start("service", { component: { instances: 2 } });
    const slow = [stream("/w400"), stream("/w400")];
    const startMs = performance.now();
    expect(await text("/c")).toBe("1");
    // With both taken it had to wait for one of them.
    expect(performance.now() - startMs).toBeGreaterThan(200);
    const answers = await Promise.all(slow);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  test("component worker: a trap answers 500 and costs only its instance", async () => {
    await start("service", { component: { instances: 1 } });
    expect(await text("/c")).toBe("1");
    expect((await worker.fetch("/t")).status).toBe(500);
    expect(await text("/c")).toBe("1");
    expect(worker.said).toEqual([
      "stderr F GET /t: wasm trap: Unreachable code should not be executed",
      "stderr F     at serve",
    ]);
  });

  test("component worker: an answer is broken off when its guest traps", async () => {
    await start("service");
    const answer = await stream("/x");
    expect(answer.status).toBe(200);
    const failed = await answer.arrayBuffer().then(
      () => false,
      () => true,
    );
    expect(failed).toBe(true);
    expect(await text("/")).toContain("hello");
  });

  test("component worker: a guest that returns without an answer is told so", async () => {
    await start("service");
    expect((await worker.fetch("/n")).status).toBe(500);
    expect(worker.log).toContain("GET /n: ");
    expect(worker.log).not.toContain("wasm trap");
  });

  test("component worker: a guest that answers once in its life gets fresh instances", async () => {
    await start("service", { component: { instances: 2 } });
    for (const body of ["one", "two", "three", "four"]) {
      expect(await text("/o", { method: "POST", body })).toBe(body);
    }
    const many = Array.from({ length: 8 }, () => text("/o", { method: "POST", body: "more" }));
    expect(new Set(await Promise.all(many))).toEqual(new Set(["more"]));
    expect(worker.said).toHaveLength(1);
    expect(worker.said[0]).toContain("kubun.dev/instance-reuse");
  });

  test("component worker: requests at once find out that instances answer once", async () => {
    await start("service", { component: { instances: 4 } });
    for (let turn = 0; turn < 3; turn++) {
      const many = Array.from({ length: 20 }, () => text("/o", { method: "POST", body: "more" }));
      expect(new Set(await Promise.all(many))).toEqual(new Set(["more"]));
    }
  });

  test("component worker: fresh instances from the start when the pod asks for them", async () => {
    await start("service", { component: { freshInstances: true } });
    expect([await text("/c"), await text("/c"), await text("/c")]).toEqual(["1", "1", "1"]);
    expect((await (await stream("/d3")).text()).length).toBe(36);
    expect(await text("/e", { method: "POST", body: "x".repeat(300_000) })).toHaveLength(300_000);
    await eventually(async () => (await status()).connections === 0);
    expect(worker.log).toBe("");
  });

  test("component worker: a head without a body ends with its fresh instance", async () => {
    await start("service", { component: { freshInstances: true } });
    const answer = await worker.fetch("/h");
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect((await worker.fetch("/t")).status).toBe(500);
    await eventually(async () => (await status()).connections === 0);
  });

  test("component worker: a failure that is not the reuse's fault ends no reuse", async () => {
    await start("service", { component: { instances: 1 } });
    expect(await text("/o", { method: "POST", body: "x" })).toBe("x");
    expect((await worker.fetch("/t")).status).toBe(500);
    expect([await text("/c"), await text("/c")]).toEqual(["1", "2"]);
  });

  test("component worker: a request past its deadline is answered 504", async () => {
    await start("service", { component: { instances: 1, requestTimeoutMs: 300 } });
    expect(await text("/c")).toBe("1");
    const answer = await worker.fetch("/w60000");
    expect([answer.status, await answer.text()]).toEqual([504, "the request took too long\n"]);
    expect(await text("/c")).toBe("1");
    expect(worker.log).toContain("GET /w60000: gave up after 300 ms");
  });

  test("component worker: the deadline counts while a request waits", async () => {
    await start("service", { component: { instances: 1, requestTimeoutMs: 300 } });
    const drops = await stream("/d60");
    expect((await worker.fetch("/")).status).toBe(504);
    expect((await drops.text()).length).toBe(60 * "data: drop\n\n".length);
    expect(await text("/")).toContain("hello");
  });

  test("component worker: a stream outlives the deadline as long as bytes move", async () => {
    await start("service", { component: { requestTimeoutMs: 200 } });
    const answer = await worker.fetch("/d20");
    expect((await answer.text()).length).toBe(20 * "data: drop\n\n".length);
  });

  test("component worker: a guest that computes without end ends its worker", async () => {
    await start("service", { component: { requestTimeoutMs: 100 } });
    const cut = worker.fetch("/l").catch(() => "cut");
    await worker.process.exited;
    expect(worker.process.signalCode).toBe("SIGALRM");
    const message = "a request computed for more than its 100 ms without end";
    expect(worker.blockedResult()).toMatchObject({ exitCode: 124, message });
    expect(await cut).toBe("cut");
  });

  test("component worker: a client that does not read makes the guest wait", async () => {
    await start("service", { component: { requestTimeoutMs: 60_000 } });
    const reader = (await stream("/b1048576")).body?.getReader();
    await reader?.read();
    const before = residentBytes(worker.process.pid);
    // Other requests are served meanwhile, and what is held does not grow.
    for (let turn = 0; turn < 50; turn++) expect(await text("/")).toContain("hello");
    expect(residentBytes(worker.process.pid) - before).toBeLessThan(48 * 1024 * 1024);
    await reader?.cancel();
    await eventually(async () => (await status()).connections === 0);
  });

  test("component worker: memory is limited for each instance", async () => {
    await start("service", { memoryLimitBytes: 4 * 1024 * 1024 });
    expect((await worker.fetch("/m")).status).toBe(500);
    expect(worker.log).toContain("GET /m: the guest was refused memory beyond its 4194304 bytes");
    expect(await text("/")).toContain("hello");
  });

  test("component worker: a limit too low for every request ends the container", async () => {
    await start("service", { memoryLimitBytes: 4 * 1024 * 1024 });
    for (let turn = 0; turn < MAX_MEMORY_FAILURES; turn++) {
      // The last answer may not leave any more.
      await worker.fetch("/m").catch(() => undefined);
    }
    const result = await worker.result();
    expect(result).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
    expect(result.message).toContain("all wanted more memory than 4194304 bytes");
  });

  test("component worker: greedy requests end no container that answers others", async () => {
    await start("service", { memoryLimitBytes: 4 * 1024 * 1024 });
    expect(await text("/")).toContain("hello");
    for (let turn = 0; turn <= MAX_MEMORY_FAILURES; turn++) {
      expect((await worker.fetch("/m")).status).toBe(500);
    }
    expect(await text("/")).toContain("hello");
  });

  test("component worker: no instance is added beyond the memory limit", async () => {
    await start("service", { memoryLimitBytes: 300 * 1024, component: { instances: 8 } });
    const answers = await Promise.all([stream("/w50"), stream("/w50"), stream("/w50")]);
    expect(answers.map(({ status: code }) => code)).toEqual([200, 200, 200]);
    expect((await status()).memoryBytes).toBeLessThanOrEqual(300 * 1024);
  });

  test("component worker: a component larger than its limit cannot run", async () => {
    const reply = await start("service", { memoryLimitBytes: 65_536 });
    expect(reply).toMatchObject({ type: "failed", reason: "ContainerCannotRun" });
    expect((reply as { message: string }).message).toContain("memory limit of 65536 bytes");
  });

  test("component worker: what is no translation is refused with words", async () => {
    const directory = join(worker.directory, "broken");
    mkdirSync(directory);
    writeFileSync(join(directory, "manifest.json"), "{}");
    const reply = await start("service", { component: { directory } });
    expect(reply).toMatchObject({ type: "failed", reason: "ContainerCannotRun" });
  });

  test("component worker: the access log has one line a request", async () => {
    await start("service", { component: { accessLog: true } });
    await worker.fetch("/b1?q=1", { headers: { "x-request-id": "abc" } });
    await eventually(() => worker.log !== "");
    expect(worker.said[0]).toMatch(/^stdout F GET \/b1\?q=1 200 [\d.]+ms abc$/);
  });

  test("component worker: stop lets the requests under way finish", async () => {
    await start("service");
    const slow = worker.fetch("/w300");
    await eventually(async () => (await status()).connections === 1);
    expect(
      await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 5000 }),
    ).toMatchObject({ type: "stopping" });
    expect((await slow).status).toBe(200);
    expect(await worker.result()).toMatchObject({ exitCode: 143 });
  });

  test("component worker: a request that is cut short leaves its instance usable", async () => {
    await start("service", { component: { instances: 1 } });
    const socket = connect(worker.unixPath);
    socket.write("POST /e HTTP/1.1\r\nhost: pod\r\ncontent-length: 1000\r\n\r\nabc");
    await eventually(async () => (await status()).connections === 1);
    socket.destroy();
    expect(await text("/")).toContain("hello");
  });

  test("component worker: a command that returns is 0", async () => {
    expect(await start("command")).toMatchObject({ type: "started" });
    expect(await worker.result()).toMatchObject({ exitCode: 0, reason: "Completed" });
    expect(worker.said).toEqual(["stdout F ran"]);
  });

  const ENDS = [
    ["fail", { exitCode: 1, reason: "Error" }],
    ["exit", { exitCode: 1, reason: "Error" }],
    ["trap", { exitCode: 134, reason: "Error" }],
    ["memory", { exitCode: 137, reason: "OOMKilled" }],
  ] as const;
  for (const [argument, end] of ENDS) {
    test(`component worker: a command that ends by ${argument} is ${end.exitCode}`, async () => {
      await start("command", { args: ["guest", argument], memoryLimitBytes: 1024 * 1024 });
      expect(await worker.result()).toMatchObject(end);
    });
  }

  async function status() {
    const reply = await worker.ask({ type: "status", containerId: "test" });
    if (reply.type !== "status") throw new Error(`not a status: ${reply.type}`);
    return reply;
  }
});

function residentBytes(pid: number): number {
  const text = new TextDecoder().decode(Bun.spawnSync(["cat", `/proc/${pid}/statm`]).stdout);
  return Number(text.split(" ")[1]) * 4096;
}
