import { describe, expect, test } from "bun:test";
import {
  encodeWorkerMessage,
  parseWorkerReply,
  parseWorkerRequest,
  parseWorkerResult,
  WorkerProtocolError,
  type WorkerReply,
  type WorkerSpec,
} from "./worker-protocol.ts";

const SPEC: WorkerSpec = {
  containerId: "c1",
  modulePath: "/m.wasm",
  args: ["a"],
  env: [["NAME", "value"]],
  preopens: [{ guestPath: "/data", hostPath: "/v", readOnly: true }],
  ports: [{ port: 80, protocol: "TCP", unixPath: "/p.sock", address: "127.42.0.2" }],
  logPath: "/l",
  logMaxBytes: 10,
  memoryLimitBytes: 65_536,
  style: "wagi",
  resultPath: "/r",
  wagi: { concurrency: 3 },
};

const COMPONENT_SPEC: WorkerSpec = {
  ...SPEC,
  style: "component",
  component: {
    directory: "/c",
    grants: {
      allowedHosts: [
        { scheme: "http", host: "store", port: 80 },
        { scheme: "*", host: "*", port: "*" },
      ],
      keyvalueStores: ["default"],
      sqliteDatabases: [{ name: "default", path: "/data/app.db" }],
      blobContainers: [{ name: "default", path: "/data/blobs" }],
    },
    instances: 8,
    requestTimeoutMs: 30_000,
    accessLog: true,
    freshInstances: true,
    egressPath: "/e.sock",
  },
};

const SHARED_SPEC: WorkerSpec = {
  ...SPEC,
  style: "command",
  shared: { capacity: 100, name: "default/a/main", blockLimitMs: 10_000 },
};

function startWith(changes: Record<string, unknown>): string {
  return JSON.stringify({ type: "start", spec: { ...SPEC, ...changes } });
}

describe("parseWorkerRequest", () => {
  test("parseWorkerRequest gives back what encodeWorkerMessage wrote", () => {
    for (const request of [
      { type: "start", spec: SPEC },
      { type: "start", spec: COMPONENT_SPEC },
      { type: "start", spec: SHARED_SPEC },
      { type: "status", containerId: "c1" },
      { type: "stop", containerId: "c1", gracePeriodMs: 5 },
    ] as const) {
      expect(parseWorkerRequest(encodeWorkerMessage(request))).toEqual(request);
    }
  });

  test("parseWorkerRequest names the field that is wrong", () => {
    const cases: readonly (readonly [line: string, want: string])[] = [
      ["{", "not JSON"],
      ["[]", "request: want an object"],
      ['{"type":"go"}', "want start, status or stop"],
      ['{"type":"stop"}', "containerId"],
      ['{"type":"stop","containerId":"c"}', "gracePeriodMs"],
      ['{"type":"stop","containerId":"c","gracePeriodMs":-1}', "gracePeriodMs"],
      [startWith({ shared: { capacity: 1, name: "a" } }), "spec.shared.blockLimitMs"],
      [startWith({ args: "a" }), "spec.args"],
      [startWith({ env: [["A", 1]] }), "spec.env[][1]"],
      [startWith({ style: "x" }), "spec.style"],
      [startWith({ ports: [{ port: 1, protocol: "UDP", unixPath: "/x" }] }), "protocol"],
      [
        startWith({ ports: [{ port: 1, protocol: "TCP", unixPath: "/".repeat(108) }] }),
        "longer than 107 bytes",
      ],
      [startWith({ preopens: [{ guestPath: "/", hostPath: "/" }] }), "readOnly"],
      [startWith({ style: "component" }), "spec.component"],
      [
        startWith({ style: "component", component: { ...COMPONENT_SPEC.component, grants: {} } }),
        "spec.component.grants.allowedHosts",
      ],
      [startWith({ wagi: { concurrency: "many" } }), "spec.wagi.concurrency"],
    ];
    for (const [line, want] of cases) {
      expect(() => parseWorkerRequest(line)).toThrow(WorkerProtocolError);
      expect(() => parseWorkerRequest(line)).toThrow(want);
    }
  });
});

describe("parseWorkerReply", () => {
  test("parseWorkerReply gives back every reply", () => {
    const containerId = "c1";
    const replies: readonly WorkerReply[] = [
      { type: "started", containerId, facade: [{ port: 80, bound: false, error: "EACCES" }] },
      { type: "stopping", containerId },
      { type: "ended", containerId },
      { type: "error", message: "m" },
      { type: "error", containerId, message: "m" },
      { type: "failed", containerId, reason: "ContainerCannotRun", message: "m" },
      {
        type: "status",
        containerId,
        phase: "draining",
        connections: 1,
        memoryBytes: 2,
        cpuNanoseconds: 3,
        facade: [
          { port: 1, bound: true },
          { port: 2, bound: false, error: "taken" },
        ],
      },
    ];
    for (const reply of replies) {
      expect(parseWorkerReply(encodeWorkerMessage(reply))).toEqual(reply);
    }
  });

  test("parseWorkerReply refuses what no worker says", () => {
    expect(() => parseWorkerReply('{"type":"hello"}')).toThrow(WorkerProtocolError);
    expect(() => parseWorkerReply('{"type":"status","containerId":"c","phase":"cold"}')).toThrow(
      "phase",
    );
  });
});

describe("parseWorkerResult", () => {
  test("parseWorkerResult reads a result and refuses another shape", () => {
    const result = { exitCode: 3, reason: "Error", message: "", finishedAt: "T" } as const;
    expect(parseWorkerResult(JSON.stringify(result))).toEqual(result);
    expect(() => parseWorkerResult(JSON.stringify({ ...result, reason: "Bad" }))).toThrow("reason");
    expect(() => parseWorkerResult("")).toThrow(WorkerProtocolError);
  });
});
