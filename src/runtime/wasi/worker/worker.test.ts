import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import { MODULES, TestWorker } from "./testing/start-worker.ts";

describe("worker process", () => {
  let worker: TestWorker;

  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });

  afterEach(() => worker.dispose());

  describe("worker", () => {
    test("a worker is warm until it is started, then runs, and tells so", async () => {
      expect(await worker.ask({ type: "status", containerId: "test" })).toEqual({
        type: "status",
        containerId: "test",
        phase: "absent",
        connections: 0,
        memoryBytes: 0,
        cpuNanoseconds: 0,
        facade: [],
      });
      expect(await worker.start(MODULES.helloHttp)).toMatchObject({ type: "started" });
      expect(await worker.ask({ type: "status", containerId: "test" })).toMatchObject({
        phase: "running",
        memoryBytes: expect.any(Number),
      });
      expect(await worker.start(MODULES.helloHttp)).toEqual({
        type: "error",
        containerId: "test",
        message: "test was started already",
      });
      expect(await worker.ask("not JSON")).toMatchObject({ type: "error" });
      expect(await worker.ask('{"type":"jump"}')).toMatchObject({ type: "error" });
    });

    test("only its owner may use the control socket", () => {
      expect(statSync(worker.controlPath).mode & 0o777).toBe(0o600);
    });

    test("a running worker answers one supervisor after another", async () => {
      await worker.start(MODULES.helloHttp);
      await worker.connect();
      expect(await worker.ask({ type: "status", containerId: "test" })).toMatchObject({
        phase: "running",
      });
      expect(await (await worker.fetch("/")).text()).toStartWith("Hello from Kubun");
    });

    test("a warm worker ends with its supervisor, a running one does not", async () => {
      worker.disconnect();
      expect(await worker.process.exited).toBe(143);
      const running = new TestWorker();
      await running.connect();
      await running.start(MODULES.helloHttp);
      running.disconnect();
      expect((await running.fetch("/healthz")).status).toBe(200);
      expect(running.process.exitCode).toBeNull();
      await running.dispose();
    });

    test("a facade that cannot be bound is told, and the pod runs", async () => {
      const taken = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => undefined },
      });
      const reply = await worker.start(MODULES.helloHttp, {
        ports: [
          {
            port: taken.port,
            protocol: "TCP",
            unixPath: worker.unixPath,
            address: "127.0.0.1",
          },
        ],
      });
      expect(reply).toMatchObject({ type: "started" });
      expect(await worker.ask({ type: "status", containerId: "test" })).toMatchObject({
        facade: [{ port: taken.port, bound: false, error: expect.any(String) }],
      });
      expect((await worker.fetch("/healthz")).status).toBe(200);
      taken.stop();
    });

    test("the facade and the Unix socket lead to the same guest", async () => {
      const free = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => undefined },
      });
      const { port } = free;
      free.stop(true);
      await worker.start(MODULES.helloHttp, {
        ports: [{ port, protocol: "TCP", unixPath: worker.unixPath, address: "127.0.0.1" }],
      });
      expect(await worker.ask({ type: "status", containerId: "test" })).toMatchObject({
        facade: [{ port, bound: true }],
      });
      const facade = await fetch(`http://127.0.0.1:${port}/healthz`);
      expect(await facade.text()).toBe("ok\n");
      expect(await (await worker.fetch("/healthz")).text()).toBe("ok\n");
    });

    test("requests that come in one packet are answered in order", async () => {
      await worker.start(MODULES.helloHttp, {
        env: [
          ["A", "first"],
          ["B", "second"],
        ],
      });
      const peer = connect(worker.unixPath);
      let answers = "";
      peer.on("data", (chunk) => {
        answers += chunk.toString();
      });
      const last = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
      peer.write(`GET /env?name=A HTTP/1.1\r\n\r\nGET /env?name=B HTTP/1.1\r\n\r\n${last}`);
      await new Promise((resolve) => peer.once("close", resolve));
      expect(answers.split("\r\n\r\n").map((part) => part.split("HTTP/1.1")[0])).toEqual([
        "",
        "first",
        "second",
        "ok\n",
      ]);
    });

    test("the guest sees its environment and volumes, and not those of the host", async () => {
      const volume = join(worker.directory, "volume");
      mkdirSync(volume);
      writeFileSync(join(volume, "greeting"), "from a volume");
      writeFileSync(join(worker.directory, "secret"), "secret");
      await worker.start(MODULES.helloHttp, {
        env: [["NAME", "value"]],
        preopens: [{ guestPath: "/data", hostPath: volume, readOnly: true }],
      });
      const body = async (path: string) => (await worker.fetch(path)).text();
      expect(await body("/env?name=NAME")).toBe("value");
      expect(await body("/env?name=PATH")).toBe("no such variable\n");
      expect(await body("/env?name=LISTEN_FDS")).toBe("1");
      expect(await body("/file?path=/data/greeting")).toBe("from a volume");
      expect((await worker.fetch("/file?path=/data/../secret")).status).toBe(403);
      expect((await worker.fetch("/file?path=/etc/passwd")).status).toBe(403);
    });
  });

  describe("ends", () => {
    test("a guest's exit code becomes the process's, with a result and a log", async () => {
      await worker.start(MODULES.probe, { args: ["probe", "args", "exit 7"] });
      expect(await worker.result()).toMatchObject({ exitCode: 7, reason: "Error", processCode: 7 });
      expect(worker.said).toEqual(["stdout F 0 probe args exit 7"]);
      expect(worker.log).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F /);
    });

    test("a guest that returns from main is Completed with code 0", async () => {
      await worker.start(MODULES.probe, { args: ["probe", "clock 0"] });
      const result = await worker.result();
      expect(result).toMatchObject({
        exitCode: 0,
        reason: "Completed",
        message: "",
        processCode: 0,
      });
      expect(result.finishedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    });

    test("a trap ends with 134 and its backtrace in the log", async () => {
      await worker.start(MODULES.probe, { args: ["probe", "trap"] });
      expect(await worker.result()).toMatchObject({
        exitCode: 134,
        reason: "Error",
        message: expect.stringMatching(/^wasm trap: .*[Uu]nreachable/),
        processCode: 134,
      });
      expect(worker.said.length).toBeGreaterThan(1);
      expect(worker.said[0]).toMatch(/^stderr F wasm trap: /);
      expect(worker.said[1]).toMatch(/^stderr F {5}at \S/);
    });

    test("a stack that overflows is a trap, not the end of the process's senses", async () => {
      await worker.start(MODULES.probe, { args: ["probe", "overflow"] });
      expect(await worker.result()).toMatchObject({ exitCode: 134, reason: "Error" });
    });

    test("a guest that dies of a refused growth is OOMKilled with 137", async () => {
      await worker.start(MODULES.probe, {
        args: ["probe", "growfail 16"],
        memoryLimitBytes: 32 * 1024 * 1024,
      });
      expect(await worker.result()).toMatchObject({
        exitCode: 137,
        reason: "OOMKilled",
        message: expect.stringContaining("33554432"),
        processCode: 137,
      });
    });

    test("a refused growth counts however small the memory stayed", async () => {
      await worker.start(MODULES.probe, {
        args: ["probe", "grow 100000", "exit 3"],
        memoryLimitBytes: 32 * 1024 * 1024,
      });
      expect(await worker.result()).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
      expect(worker.said).toEqual(["stdout F -1", expect.stringContaining("refused memory")]);
    });

    test("a refused growth that a guest copes with is no failure", async () => {
      await worker.start(MODULES.probe, {
        args: ["probe", "grow 100000", "exit 0"],
        memoryLimitBytes: 32 * 1024 * 1024,
      });
      expect(await worker.result()).toMatchObject({ exitCode: 0, reason: "Completed" });
    });

    test("SIGKILL ends a guest that loops", async () => {
      await worker.start(MODULES.probe, { args: ["probe", "loop"] });
      worker.process.kill("SIGKILL");
      expect(await worker.process.exited).toBe(137);
    });
  });

  describe("what cannot run", () => {
    const cases: readonly (readonly [name: string, bytes: Uint8Array | string, want: string])[] = [
      ["no module", "hello", "no WebAssembly"],
      ["a component", Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), "component"],
      ["a cut module", Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 9, 1), "cut short"],
      ["an empty module", Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), "no _start"],
      [
        "a module with unknown imports",
        Buffer.from("0061736d01000000010401600000020b0103656e7603666f6f0000", "hex"),
        "imports what is not provided: env.foo",
      ],
    ];
    for (const [name, bytes, want] of cases) {
      test(`${name} is refused with a message that says why`, async () => {
        const path = join(worker.directory, "bad.wasm");
        writeFileSync(path, bytes);
        expect(await worker.start(path)).toEqual({
          type: "failed",
          containerId: "test",
          reason: "ContainerCannotRun",
          message: expect.stringContaining(want),
        });
        expect(await worker.result()).toMatchObject({
          exitCode: 128,
          reason: "ContainerCannotRun",
          processCode: 128,
        });
      });
    }

    test("a module that starts above its memory limit is refused", async () => {
      const reply = await worker.start(MODULES.probe, { memoryLimitBytes: 65_536 });
      expect(reply).toMatchObject({ message: expect.stringContaining("memory limit of 65536") });
    });

    test("a module or a volume that is missing is refused by name", async () => {
      const reply = await worker.start("/nonexistent/app.wasm");
      expect(reply).toMatchObject({ message: expect.stringContaining("/nonexistent/app.wasm") });
    });
  });

  describe("stopping", () => {
    test("a worker without connections ends soon after stop with 143", async () => {
      await worker.start(MODULES.helloHttp);
      expect(
        await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 60_000 }),
      ).toEqual({
        type: "stopping",
        containerId: "test",
      });
      expect(await worker.result()).toMatchObject({ exitCode: 143, processCode: 143 });
    });

    test("a warm worker ends on stop and on SIGTERM", async () => {
      worker.process.kill("SIGTERM");
      expect(await worker.process.exited).toBe(143);
    });

    test("a stopping worker finishes open connections and takes new ones meanwhile", async () => {
      await worker.start(MODULES.helloHttp);
      const open = connect(worker.unixPath);
      await new Promise((resolve) => open.once("connect", resolve));
      open.write("POST /echo HTTP/1.1\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234");
      await eventually(async () => {
        const status = await worker.ask({ type: "status", containerId: "test" });
        return status.type === "status" && status.connections === 1;
      });
      await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 60_000 });
      const late = await worker.fetch("/", { headers: { connection: "close" } });
      expect(late.status).toBe(200);
      expect(await worker.ask({ type: "status", containerId: "test" })).toMatchObject({
        phase: "draining",
      });
      let answer = "";
      open.on("data", (chunk) => {
        answer += chunk.toString();
      });
      open.write("56789");
      await new Promise((resolve) => open.once("close", resolve));
      expect(answer).toEndWith("0123456789");
      expect(await worker.result()).toMatchObject({ exitCode: 143 });
    });

    test("a stopping worker does not wait for a connection that is only kept open", async () => {
      await worker.start(MODULES.helloHttp);
      const kept = connect(worker.unixPath);
      kept.on("error", () => undefined);
      kept.write("GET /healthz HTTP/1.1\r\n\r\n");
      await new Promise((resolve) => kept.once("data", resolve));
      await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 600_000 });
      expect(await worker.result()).toMatchObject({ exitCode: 143 });
    });

    test("a grace period of zero kills: it ends open connections too", async () => {
      await worker.start(MODULES.helloHttp);
      const open = connect(worker.unixPath);
      await new Promise((resolve) => open.once("connect", resolve));
      open.on("error", () => undefined);
      await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 0 });
      expect(await worker.result()).toMatchObject({ exitCode: 137, processCode: 137 });
    });
  });

  describe("log", () => {
    test("a guest that talks without end is bounded by rotation", async () => {
      const words = "x".repeat(2000);
      await worker.start(MODULES.probe, {
        args: ["probe", ...Array.from({ length: 20 }, () => `args ${words}`)],
        logMaxBytes: 300_000,
      });
      await worker.result();
      const log = join(worker.directory, "0.log");
      expect(existsSync(`${log}.1`)).toBe(true);
      expect(existsSync(`${log}.5`)).toBe(false);
      expect(statSync(log).size).toBeLessThanOrEqual(300_000);
      expect(statSync(`${log}.1`).size).toBeLessThanOrEqual(300_000);
      expect(readFileSync(`${log}.1`, "utf8")).toEndWith("\n");
    });
  });
});
