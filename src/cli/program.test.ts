import { describe, expect, test } from "bun:test";
import { runProgram } from "./program.ts";
import type { Verbs } from "./program.ts";
import { CommandError } from "./usage-error.ts";

interface Run {
  readonly exitStatus: number;
  readonly calls: unknown[][];
  readonly out: string;
  readonly error: string;
}

async function run(args: string[], override: Partial<Verbs> = {}): Promise<Run> {
  const calls: unknown[][] = [];
  let [out, error] = ["", ""];
  const record =
    (name: string) =>
    async (...given: unknown[]): Promise<void> => {
      calls.push([name, ...given]);
    };
  const verbs: Verbs = {
    server: record("server"),
    up: record("up"),
    status: record("status"),
    stop: record("stop"),
    delete: record("delete"),
    service: record("service"),
    imageBuild: record("imageBuild"),
    imagePush: record("imagePush"),
    imageInspect: record("imageInspect"),
    imageList: record("imageList"),
    agent: record("agent"),
    tokenCreate: record("tokenCreate"),
    tokenList: record("tokenList"),
    tokenRevoke: record("tokenRevoke"),
    memberList: record("memberList"),
    memberRemove: record("memberRemove"),
    memberPromote: record("memberPromote"),
    snapshotSave: record("snapshotSave"),
    snapshotRestore: record("snapshotRestore"),
    kubectl: async (...given) => {
      calls.push(["kubectl", ...given]);
      return 7;
    },
    ...override,
  };
  const exitStatus = await runProgram(args, {
    version: "1.2.3",
    defaultDataDir: "/data",
    verbs,
    writeOut: (text) => (out += text),
    writeError: (text) => (error += text),
  });
  return { exitStatus, calls, out, error };
}

describe("runProgram", () => {
  test("runProgram hands checked flags to the server verb", async () => {
    const { exitStatus, calls } = await run([
      "server",
      "--https-port",
      "0",
      "--tls-san",
      "a.example",
      "--container-runtime-endpoint",
      "own",
    ]);
    expect(exitStatus).toBe(0);
    expect(calls).toEqual([
      [
        "server",
        {
          dataDir: "/data",
          httpsPort: 0,
          bindAddress: "127.0.0.1",
          tlsSan: ["a.example"],
          containerRuntimeEndpoint: "own",
          serviceNodePortRange: { from: 30_000, to: 32_767 },
          logLevel: "info",
          witness: false,
          clusterReset: false,
          takeOver: false,
        },
      ],
    ]);
  });

  test("runProgram reads the verbs of a cluster of several machines", async () => {
    const commands: [string[], unknown[]][] = [
      [
        ["token", "create", "--ttl", "30m", "--role", "server"],
        ["tokenCreate", { dataDir: "/data", role: "server", ttlMs: 1_800_000 }],
      ],
      [
        ["token", "create"],
        ["tokenCreate", { dataDir: "/data", role: "agent", ttlMs: 86_400_000 }],
      ],
      [
        ["token", "list"],
        ["tokenList", { dataDir: "/data" }],
      ],
      [
        ["token", "revoke", "abc123"],
        ["tokenRevoke", "abc123", { dataDir: "/data" }],
      ],
      [
        ["member", "list", "--kubeconfig", "/k"],
        ["memberList", { dataDir: "/data", kubeconfig: "/k" }],
      ],
      [
        ["member", "remove", "two"],
        ["memberRemove", "two", { dataDir: "/data" }],
      ],
      [
        ["member", "promote", "2"],
        ["memberPromote", "2", { dataDir: "/data" }],
      ],
      [
        ["snapshot", "save", "/s"],
        ["snapshotSave", "/s", { dataDir: "/data" }],
      ],
      [
        ["snapshot", "restore", "/s", "--data-dir", "/new"],
        ["snapshotRestore", "/s", { dataDir: "/new" }],
      ],
    ];
    for (const [words, call] of commands) {
      const { exitStatus, calls } = await run(words);
      expect({ words, exitStatus, calls }).toEqual({ words, exitStatus: 0, calls: [call] });
    }
  });

  test("runProgram refuses a token's lifetime, role and id that make no sense", async () => {
    expect((await run(["token", "create", "--ttl", "1"])).error).toContain("such as 40s");
    expect((await run(["token", "create", "--role", "king"])).error).toContain("server or agent");
    const secret = `K1.${"0".repeat(32)}.abc123.abcdefghijklmnop`;
    const revoke = await run(["token", "revoke", secret]);
    expect(revoke.exitStatus).toBe(2);
    expect(revoke.error).not.toContain("abcdefghijklmnop");
  });

  test("runProgram says which flag is wrong, with exit status 2", async () => {
    const { exitStatus, error, calls } = await run(["server", "--https-port", "http"]);
    expect(exitStatus).toBe(2);
    expect(error).toContain('--https-port "http" is not allowed');
    expect(calls).toEqual([]);
  });

  test("runProgram gives help for the program and every verb with exit status 0", async () => {
    const verbs = [
      "server",
      "up",
      "status",
      "stop",
      "delete",
      "service",
      "image",
      "agent",
      "token",
      "member",
      "snapshot",
    ];
    for (const words of [
      [],
      ...verbs.map((verb) => [verb]),
      ["image", "push"],
      ["image", "build"],
      ["image", "inspect"],
    ]) {
      const { exitStatus, out } = await run([...words, "--help"]);
      expect(exitStatus).toBe(0);
      expect(out).toContain(`Usage: kubun${words.length > 0 ? ` ${words.join(" ")}` : ""}`);
    }
  });

  test("runProgram refuses an unknown verb and an unknown flag with exit status 2", async () => {
    expect((await run(["fly"])).exitStatus).toBe(2);
    const { exitStatus, error } = await run(["status", "--loud"]);
    expect(exitStatus).toBe(2);
    expect(error).toContain("unknown option '--loud'");
  });

  test("runProgram hands kubectl its words as they are and passes its exit status on", async () => {
    const { exitStatus, calls } = await run(["kubectl", "get", "pods", "-o", "wide", "--help"]);
    expect(exitStatus).toBe(7);
    expect(calls[0]?.[1]).toEqual(["get", "pods", "-o", "wide", "--help"]);
  });

  test("runProgram takes --data-dir before kubectl's own words", async () => {
    const { calls } = await run(["kubectl", "--data-dir", "/other", "get", "pods"]);
    expect(calls).toEqual([["kubectl", ["get", "pods"], { dataDir: "/other" }]]);
  });

  test("runProgram reads the flags of kubun image", async () => {
    const { calls } = await run(
      "image build app.wasm -o out --tag v1 --annotation a=1 --annotation b=2= --target a:b".split(
        " ",
      ),
    );
    expect(calls).toEqual([
      [
        "imageBuild",
        "app.wasm",
        {
          annotations: { a: "1", b: "2=" },
          target: "a:b",
          output: "out",
          tag: "v1",
        },
      ],
    ]);
    const pushed = await run(["image", "push", "app.wasm", "ghcr.io:5000/me/app:v1"]);
    const options = { dataDir: "/data", annotations: {} };
    expect(pushed.calls).toEqual([["imagePush", "app.wasm", "ghcr.io:5000/me/app:v1", options]]);
    expect((await run(["image", "inspect", "app:v1", "-o", "xml"])).exitStatus).toBe(2);
    expect((await run(["image", "build", "a.wasm", "--annotation", "=x"])).exitStatus).toBe(2);
    expect((await run(["image", "build", "a.wasm", "--tag", "a b"])).exitStatus).toBe(2);
  });

  test("runProgram refuses an image name in upper case before any file is read", async () => {
    const { exitStatus, error } = await run(["image", "push", "app.wasm", "App:1"]);
    expect(exitStatus).toBe(2);
    expect(error).toContain("hello-http:v1");
  });

  test("runProgram shows a command's failure as one line with exit status 1", async () => {
    const { exitStatus, error } = await run(["status"], {
      status: async () => {
        throw new CommandError("no cluster runs in /data");
      },
    });
    expect(exitStatus).toBe(1);
    expect(error).toBe("error: no cluster runs in /data\n");
  });
});
