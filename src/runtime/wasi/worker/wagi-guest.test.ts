import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually } from "../../../lib/testing/eventually.ts";
import type { WorkerSpec } from "../worker-protocol.ts";
import { MODULES, TestWorker } from "./testing/start-worker.ts";

/** More than the kernel takes for a client that reads nothing, and less than what we do beside. */
const SLOW_BYTES = 300_000;

describe("wagi worker", () => {
  let worker: TestWorker;

  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });

  afterEach(() => worker.dispose());

  function start(modulePath: string, changes: Partial<WorkerSpec> = {}) {
    return worker.start(modulePath, { style: "wagi", ...changes });
  }

  describe("wagi", () => {
    test("each request runs a fresh instance with a CGI environment", async () => {
      await start(MODULES.helloWagi, { env: [["POD_NAME", "pod-1"]] });
      expect(await (await worker.fetch("/")).text()).toBe("Hello from Kubun, this is pod-1\n");
      const response = await worker.fetch("/env?a=b%20c&d", {
        headers: { "x-test": "yes", x_test: "no", proxy: "evil", host: "example.test:8080" },
      });
      expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      const lines = (await response.text()).split("\n");
      expect(lines).toContain("REQUEST_METHOD=GET");
      expect(lines).toContain("PATH_INFO=/env");
      expect(lines).toContain("QUERY_STRING=a=b%20c&d");
      expect(lines).toContain("SERVER_NAME=example.test");
      expect(lines.filter((line) => line.startsWith("HTTP_X_TEST="))).toEqual(["HTTP_X_TEST=yes"]);
      expect(lines).toContain("X_FULL_URL=http://example.test:8080/env?a=b%20c&d");
      expect(lines.some((line) => line.startsWith("HTTP_PROXY"))).toBe(false);
      expect(lines.some((line) => line.startsWith("PATH="))).toBe(false);
    });

    test("a body goes to standard input and a large one comes back streamed", async () => {
      await start(MODULES.helloWagi);
      const body = Buffer.alloc(3_000_001, "abcdefg");
      const response = await worker.fetch("/echo", {
        method: "POST",
        body,
        headers: { "content-type": "application/x-test" },
      });
      expect(response.headers.get("content-type")).toBe("application/x-test");
      expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    });

    test("Status and Location decide the answer's status", async () => {
      await start(MODULES.helloWagi);
      expect((await worker.fetch("/nowhere")).status).toBe(404);
      const redirect = await worker.fetch("/redirect", { redirect: "manual" });
      expect(redirect.status).toBe(302);
      expect(redirect.headers.get("location")).toBe("/");
    });

    test("a guest that exits, traps or says nonsense answers 500 and leaves a log", async () => {
      await start(MODULES.helloWagi);
      expect((await worker.fetch("/fail")).status).toBe(500);
      expect((await worker.fetch("/trap")).status).toBe(500);
      expect((await worker.fetch("/")).status).toBe(200);
      const log = worker.said.join("\n");
      expect(log).toContain("stderr F hello-wagi: told to fail");
      expect(log).toContain("GET /fail: the guest exited with code 3");
      expect(log).toContain("GET /trap: wasm trap: ");
    });

    test("the access log has one line a request", async () => {
      await start(MODULES.helloWagi, { wagi: { accessLog: true } });
      await worker.fetch("/healthz?x", { headers: { "x-request-id": "abc" } });
      await eventually(() => worker.log !== "");
      expect(worker.said[0]).toMatch(/^stdout F GET \/healthz\?x 200 [\d.]+ms abc$/);
    });

    test("a log that cannot be written keeps no request from its answer", async () => {
      await start(MODULES.helloWagi, { wagi: { accessLog: true }, logPath: "/dev/full" });
      expect((await worker.fetch("/healthz")).status).toBe(200);
      expect((await worker.fetch("/trap")).status).toBe(500);
      expect((await worker.fetch("/healthz")).status).toBe(200);
    });

    test("output without a header is a 500", async () => {
      await start(MODULES.probe, { args: ["probe", "args"] });
      expect((await worker.fetch("/")).status).toBe(500);
      await eventually(() => worker.log.includes("CGI header"));
    });

    test("a body above the limit is answered 413", async () => {
      await start(MODULES.helloWagi, { wagi: { maxBodyBytes: 1000 } });
      const answer = await worker.fetch("/echo", { method: "POST", body: Buffer.alloc(2000) });
      expect(answer.status).toBe(413);
    });

    test("a request past its deadline is answered 504 and gives its place up", async () => {
      await start(MODULES.probe, {
        args: ["probe", "poll m:600000"],
        wagi: { requestTimeoutMs: 100, concurrency: 1 },
      });
      const slow = worker.fetch("/");
      await eventually(async () => {
        const status = await worker.ask({ type: "status", containerId: "test" });
        return status.type === "status" && status.connections === 1;
      });
      expect((await slow).status).toBe(504);
      expect((await worker.fetch("/")).status).toBe(504);
      expect(worker.log).toContain("gave up after 100 ms");
    });

    test("a guest that computes past its deadline ends its worker, which says why", async () => {
      await start(MODULES.hostile, { args: ["guest", "cgi"], wagi: { requestTimeoutMs: 200 } });
      expect(await (await worker.fetch("/")).text()).toBe("ok\n");
      const cut = worker.fetch("/loop").catch(() => "cut");
      await worker.process.exited;
      expect(await cut).toBe("cut");
      const message = "a request computed for more than its 200 ms without end";
      expect(worker.process.signalCode).toBe("SIGALRM");
      const result = worker.blockedResult();
      expect(result).toMatchObject({ exitCode: 124, reason: "Error", message });
    });

    test("a client that goes away, or never sends its body, gives its place up", async () => {
      await start(MODULES.helloWagi, { wagi: { requestTimeoutMs: 200, concurrency: 1 } });
      const slow = connect({ path: worker.unixPath, allowHalfOpen: true });
      slow.on("error", () => undefined);
      slow.resume();
      slow.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
      await eventually(async () => {
        const status = await worker.ask({ type: "status", containerId: "test" });
        return status.type === "status" && status.connections === 1;
      });
      expect((await worker.fetch("/healthz")).status).toBe(200);
      slow.destroy();
    });

    test("a client that is slow to take an answer gets all of it", async () => {
      await start(MODULES.helloWagi, { wagi: { requestTimeoutMs: 300 } });
      const slow = connect({ path: worker.unixPath, allowHalfOpen: true });
      slow.pause();
      slow.write(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${SLOW_BYTES}\r\n\r\n`);
      slow.write(Buffer.alloc(SLOW_BYTES, "x"));
      // The instance ended, and its answer is still on its way.
      await eventually(async () => {
        const status = await worker.ask({ type: "status", containerId: "test" });
        return status.type === "status" && status.connections === 1 && status.memoryBytes === 0;
      });
      const late = connect({ path: worker.unixPath, allowHalfOpen: true });
      let [answer, text] = ["", ""];
      late.on("data", (chunk) => (answer += chunk.toString()));
      late.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
      await eventually(() => answer.startsWith("HTTP/1.1 504 "));
      slow.on("data", (chunk) => (text += chunk.toString()));
      slow.resume();
      await eventually(() => text.endsWith("\r\n0\r\n\r\n"));
      expect(text.match(/x{2,}/g)?.join("")).toHaveLength(SLOW_BYTES);
      for (const socket of [slow, late]) socket.destroy();
    });

    test("many requests at once are all answered, a few at a time", async () => {
      await start(MODULES.helloWagi, { wagi: { concurrency: 2 } });
      const answers = await Promise.all(
        Array.from({ length: 100 }, async () => (await worker.fetch("/healthz")).text()),
      );
      expect(new Set(answers)).toEqual(new Set(["ok\n"]));
    });

    test("a volume is there for every instance", async () => {
      writeFileSync(join(worker.directory, "note"), "hi");
      const preopens = [{ guestPath: "/v", hostPath: worker.directory, readOnly: true }];
      await start(MODULES.helloWagi, { preopens });
      for (let round = 0; round < 50; round++) {
        expect((await worker.fetch("/healthz")).status).toBe(200);
      }
    });

    test("stop lets the requests under way finish", async () => {
      await start(MODULES.helloWagi);
      await worker.ask({ type: "stop", containerId: "test", gracePeriodMs: 60_000 });
      expect(await worker.result()).toMatchObject({ exitCode: 143 });
    });
  });
});
