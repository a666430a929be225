import { describe, expect, test } from "bun:test";
import { PROVIDED_INTERFACES, withoutVersion } from "../../../lib/index.ts";
import { NO_GRANTS } from "../component/pod-grants.ts";
import { ProcExit } from "../host/errno.ts";
import { MAX_DENIAL_NOTES } from "./denial-notes.ts";
import type { InputStream } from "./io/input-stream.ts";
import type { OutputStream } from "./io/output-stream.ts";
import { MAX_RANDOM_BYTES } from "./random.ts";
import { bytesOf, imported, openHost, refusal } from "./testing/host-fixture.ts";

const env = [
  ["LANG", "C"],
  ["TOKEN", "secret"],
] as const;

describe("createPreviewTwo", () => {
  test("createPreviewTwo provides what it says, with the functions that may wait", () => {
    using fixture = openHost();
    const provided = new Set(Object.keys(fixture.instance.imports).map(withoutVersion));
    expect([...provided].sort()).toEqual(Object.keys(PROVIDED_INTERFACES).sort());
    const camel = (name: string) =>
      name.replace(/-(.)/g, (_all, letter: string) => letter.toUpperCase());
    for (const [path, { suspending }] of Object.entries(PROVIDED_INTERFACES)) {
      for (const name of suspending) {
        const [, kind, resource, method] = /^\[(\w+)\]([^.]+)\.(.+)$/.exec(name) ?? [];
        const plain = fixture.instance.imports[path]?.[camel(name)];
        const holder = fixture.instance.imports[path]?.[camel(`-${resource}`)] as
          | ({ prototype: Record<string, unknown> } & Record<string, unknown>)
          | undefined;
        const members = kind === "static" ? holder : holder?.prototype;
        expect(method === undefined ? plain : members?.[camel(method)]).toBeFunction();
      }
    }
  });

  test("createPreviewTwo opens all preopens or none", () => {
    const missing = { guestPath: "/", hostPath: "/proc/self/none", readOnly: true };
    expect(() => openHost({ preopens: [missing] })).toThrow("ENOENT");
  });
});

describe("wasi:cli", () => {
  test("wasi:cli shows arguments and environment, and no terminal", () => {
    using fixture = openHost({ args: ["a", "b"], env });
    const environment = fixture.instance.imports["wasi:cli/environment"] as {
      getArguments(): string[];
      getEnvironment(): [string, string][];
      initialCwd(): string | undefined;
    };
    expect(environment.getArguments()).toEqual(["a", "b"]);
    expect(environment.getEnvironment()).toEqual(env.map(([name, value]) => [name, value]));
    expect(environment.initialCwd()).toBeUndefined();
    const getTerminal = imported<() => unknown>(
      fixture.instance,
      "wasi:cli/terminal-stdout",
      "getTerminalStdout",
    );
    expect(getTerminal()).toBeUndefined();
  });

  test("wasi:cli writes the log and reads nothing", async () => {
    using fixture = openHost();
    const { instance } = fixture;
    const stdout = imported<() => OutputStream>(instance, "wasi:cli/stdout", "getStdout")();
    const stderr = imported<() => OutputStream>(instance, "wasi:cli/stderr", "getStderr")();
    await stdout.blockingWriteAndFlush(bytesOf("out"));
    stderr.write(bytesOf("err"));
    expect(fixture.output).toEqual({ stdout: ["out"], stderr: ["err"] });
    const stdin = imported<() => InputStream>(instance, "wasi:cli/stdin", "getStdin")();
    expect(refusal(() => stdin.read(1n))).toEqual({ tag: "closed" });
  });

  test("wasi:cli makes a guest wait for a log that has no room", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = { kind: "output", lineBuffered: true, write: () => promise } as const;
    using fixture = openHost({ stdout: slow });
    const stdout = imported<() => OutputStream>(fixture.instance, "wasi:cli/stdout", "getStdout")();
    stdout.write(bytesOf("x"));
    expect(stdout.checkWrite()).toBe(0n);
    const flushed = stdout.blockingFlush();
    expect(flushed).toBeInstanceOf(Promise);
    resolve();
    await flushed;
    expect(stdout.checkWrite()).toBeGreaterThan(0n);
  });

  test("wasi:cli exits with a code", () => {
    using fixture = openHost();
    const { exit, exitWithCode } = fixture.instance.imports["wasi:cli/exit"] as {
      exit(status: { tag: "ok" | "err" }): never;
      exitWithCode(code: number): never;
    };
    expect(() => exit({ tag: "ok" })).toThrow(new ProcExit(0));
    expect(() => exit({ tag: "err" })).toThrow(new ProcExit(1));
    expect(() => exitWithCode(42)).toThrow(new ProcExit(42));
  });
});

describe("wasi:random, wasi:config, wasi:logging, wasi:keyvalue", () => {
  test("wasi:random gives as many bytes as asked for, within bounds", () => {
    using fixture = openHost();
    const getRandomBytes = imported<(length: bigint) => Uint8Array>(
      fixture.instance,
      "wasi:random/random",
      "getRandomBytes",
    );
    expect(getRandomBytes(33n)).toHaveLength(33);
    expect(() => getRandomBytes(BigInt(MAX_RANDOM_BYTES) + 1n)).toThrow("random bytes");
    const seed = imported<() => unknown[]>(
      fixture.instance,
      "wasi:random/insecure-seed",
      "insecureSeed",
    );
    expect(seed().map((part) => typeof part)).toEqual(["bigint", "bigint"]);
  });

  test("wasi:config is the environment", () => {
    using fixture = openHost({ env });
    for (const path of ["wasi:config/store", "wasi:config/runtime"]) {
      const store = fixture.instance.imports[path] as {
        get(key: string): string | undefined;
        getAll(): unknown[];
      };
      expect(store.get("TOKEN")).toBe("secret");
      expect(store.get("NONE")).toBeUndefined();
      expect(store.getAll()).toHaveLength(2);
    }
  });

  test("wasi:logging writes one line a message, severe ones on stderr", () => {
    using fixture = openHost();
    const log = imported<(level: string, context: string, message: string) => void>(
      fixture.instance,
      "wasi:logging/logging",
      "log",
    );
    log("info", "", "ready");
    log("error", "db", "lost\n2026-01-01 stdout F forged");
    expect(fixture.output.stdout).toEqual(["INFO: ready\n"]);
    expect(fixture.output.stderr).toEqual(["ERROR db: lost ⏎ 2026-01-01 stdout F forged\n"]);
  });

  test("wasi:keyvalue opens what is granted, and says once a store what is not", () => {
    using fixture = openHost({ grants: { ...NO_GRANTS, keyvalueStores: ["mine"] } });
    const open = imported<(name: string) => unknown>(
      fixture.instance,
      "wasi:keyvalue/store",
      "open",
    );
    for (let call = 0; call < 3; call++) {
      expect(refusal(() => open("default"))).toEqual({ tag: "access-denied" });
      expect(refusal(() => open("other"))).toEqual({ tag: "access-denied" });
    }
    expect(fixture.notes).toHaveLength(2);
    expect(fixture.notes[0]).toContain("kubun.dev/keyvalue-stores");
    for (let index = 0; index < 2 * MAX_DENIAL_NOTES; index++) refusal(() => open(`s${index}`));
    expect(fixture.notes).toHaveLength(MAX_DENIAL_NOTES);
  });
});
