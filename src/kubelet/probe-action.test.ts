import type { RunCommand } from "./exec-action.ts";
import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Clock } from "../lib/index.ts";
import { systemClock } from "../os/index.ts";
import { LATE_MS, runProbe } from "./probe-action.ts";

const NO_COMMANDS: RunCommand = async () => ({ type: "unsupported", message: "no commands" });

describe("runProbe", () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  afterAll(() => silent.stop(true));

  /** A probe of a server that never answers, whose timer fires when the clock shows this. */
  function timedOutAt(nowMs: number) {
    let shownMs = 0;
    const clock: Clock = {
      now: () => shownMs,
      monotonic: () => shownMs,
      after: (_, callback) => {
        shownMs = nowMs;
        queueMicrotask(callback);
        return () => undefined;
      },
    };
    const target = {
      podIp: "127.0.0.1",
      container: { name: "app" },
      endpoint: () => undefined,
      run: NO_COMMANDS,
    };
    return runProbe({ httpGet: { port: silent.port } }, target, { clock, timeoutMs: 1000 });
  }

  test("runProbe: no answer in time is a failure", async () => {
    expect(await timedOutAt(1000)).toMatchObject({ success: false });
    expect(await timedOutAt(1000 + LATE_MS)).toMatchObject({ success: false });
  });

  test("runProbe: a timeout that is noticed late says nothing about the container", async () => {
    expect(await timedOutAt(1001 + LATE_MS)).toEqual({ success: "unknown" });
  });
});

describe("runProbe of kind grpc", () => {
  const asked: string[] = [];
  let answer: readonly number[] = [];
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Uint8Array[] = [];
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    stream.on("end", () => {
      asked.push(`${headers[":path"]} ${Buffer.concat(chunks).toString("hex")}`);
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Uint8Array.from([0, 0, 0, 0, answer.length, ...answer]));
    });
  });
  afterAll(() => server.close());

  test("runProbe: a grpc probe asks for the health of a service", async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const container = { name: "app" };
    const target = { podIp: "127.0.0.1", container, endpoint: () => undefined, run: NO_COMMANDS };
    const run = (service?: string) => {
      const grpc = { port, ...(service === undefined ? {} : { service }) };
      return runProbe({ grpc }, target, { clock: systemClock, timeoutMs: 5000 });
    };
    answer = [8, 1];
    expect(await run()).toEqual({ success: true });
    expect(await run("ab")).toEqual({ success: true });
    answer = [8, 2];
    const message = 'service unhealthy (responded with "NOT_SERVING")';
    expect(await run()).toEqual({ success: false, message });
    expect(asked.slice(0, 2)).toEqual([
      "/grpc.health.v1.Health/Check 0000000000",
      "/grpc.health.v1.Health/Check 00000000040a026162",
    ]);
  });

  test("runProbe: a port on which nobody listens refuses the connection", async () => {
    const gone = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = gone;
    gone.stop(true);
    const target = {
      podIp: "127.0.0.1",
      container: { name: "app" },
      endpoint: () => undefined,
      run: NO_COMMANDS,
    };
    const limits = { clock: systemClock, timeoutMs: 5000 };
    const refused = `dial tcp 127.0.0.1:${port}: connect: connection refused`;
    expect(await runProbe({ tcpSocket: { port } }, target, limits)).toEqual({
      success: false,
      message: refused,
    });
    expect(await runProbe({ httpGet: { port } }, target, limits)).toEqual({
      success: false,
      message: `Get "http://127.0.0.1:${port}/": ${refused}`,
    });
    expect(await runProbe({ grpc: { port } }, target, limits)).toEqual({
      success: false,
      message: `error: health rpc probe failed: ${refused}`,
    });
  });
});
