import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "../api/index.ts";
import { ManualClock, silentLogger } from "../lib/index.ts";
import { diskUsage } from "./disk-usage.ts";
import { evictionMessage, limitsLocalStorage } from "./local-storage-eviction.ts";
import { LocalStorageWatch } from "./local-storage-watch.ts";

const MIB = 1024 * 1024;

function podOf(limits: Record<string, string>, sizeLimits: Record<string, string> = {}): Pod {
  return {
    metadata: { name: "web", namespace: "default", uid: "u" },
    spec: {
      containers: Object.entries(limits).map(([name, limit]) => ({
        name,
        ...(limit === "" ? {} : { resources: { limits: { "ephemeral-storage": limit } } }),
      })),
      volumes: Object.entries(sizeLimits).map(([name, sizeLimit]) => ({
        name,
        emptyDir: sizeLimit === "" ? {} : { sizeLimit },
      })),
    },
  };
}

function messageOf(pod: Pod, volumes: Record<string, number>, logs: Record<string, number> = {}) {
  const usage = {
    volumes: new Map(Object.entries(volumes)),
    logs: new Map(Object.entries(logs)),
  };
  return evictionMessage(pod, usage);
}

describe("evictionMessage", () => {
  test("evictionMessage names a volume beyond its limit, and lets one at its limit be", () => {
    const pod = podOf({ app: "" }, { cache: "1Mi" });
    expect(messageOf(pod, { cache: MIB })).toBeUndefined();
    expect(messageOf(pod, { cache: MIB + 1 })).toBe(
      'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ',
    );
  });

  test("evictionMessage adds volumes and logs, and the limits of containers", () => {
    const pod = podOf({ app: "1Mi", other: "1Mi", free: "" }, { cache: "" });
    expect(messageOf(pod, { cache: MIB }, { app: MIB / 2, other: MIB / 2 })).toBeUndefined();
    expect(messageOf(pod, { cache: MIB }, { app: MIB / 2, free: MIB })).toBe(
      "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
    );
  });

  test("evictionMessage names a container whose log alone exceeds its limit", () => {
    const pod = podOf({ app: "1Mi", other: "10Mi" });
    expect(messageOf(pod, {}, { app: 2 * MIB })).toBe(
      'Container app exceeded its local ephemeral storage limit "1Mi". ',
    );
  });

  test("evictionMessage leaves what is in memory out of the pod's sum", () => {
    const pod = podOf({ app: "1Mi" });
    const volumes = [{ name: "memory", emptyDir: { medium: "Memory" } }];
    const inMemory = { ...pod, spec: { ...pod.spec, volumes } } as Pod;
    expect(messageOf(inMemory, { memory: 5 * MIB })).toBeUndefined();
  });

  test("evictionMessage: without limits, and with limits of 0, everything is allowed", () => {
    expect(messageOf(podOf({ app: "" }, { cache: "" }), { cache: 1e12 })).toBeUndefined();
    expect(messageOf(podOf({ app: "0" }, { cache: "0" }), { cache: 1e12 })).toBeUndefined();
  });

  test("limitsLocalStorage tells pods that need no look", () => {
    expect(limitsLocalStorage(podOf({ app: "" }, { cache: "" }))).toBe(false);
    expect(limitsLocalStorage(podOf({ app: "1Mi" }))).toBe(true);
    expect(limitsLocalStorage(podOf({ app: "" }, { cache: "1Mi" }))).toBe(true);
  });
});

describe("diskUsage", () => {
  test("diskUsage walks below a directory, follows no link, knows what is missing", async () => {
    const root = mkdtempSync(join(tmpdir(), "kubun-du-"));
    mkdirSync(join(root, "deep/er"), { recursive: true });
    writeFileSync(join(root, "deep/er/file"), Buffer.alloc(3 * MIB, 1));
    mkdirSync(join(root, "links"));
    symlinkSync(join(root, "deep"), join(root, "links/deep"));
    const { signal } = new AbortController();
    const paths = ["deep", "missing", "links"].map((name) => join(root, name));
    const [deep = 0, missing, links = 0] = await diskUsage(paths, signal);
    expect(deep).toBeGreaterThanOrEqual(3 * MIB);
    expect(deep).toBeLessThan(4 * MIB);
    expect(missing).toBeUndefined();
    expect(links).toBeLessThan(MIB);
    rmSync(root, { recursive: true });
  });

  test("diskUsage ends with its signal", async () => {
    const stopped = AbortSignal.abort();
    const ended = await diskUsage(["/"], stopped).catch((error: unknown) => String(error));
    expect(ended).toBeString();
  });
});

describe("LocalStorageWatch", () => {
  function setUp(pods: readonly Pod[], measured: readonly number[] | Error) {
    const asked: (readonly string[])[] = [];
    const evicted: string[] = [];
    const watch = new LocalStorageWatch({
      pods: () => pods,
      volumeDirectory: (_pod, name) => `/volumes/${name}`,
      logDirectory: () => "/logs",
      measure: async (directories) => {
        asked.push(directories);
        if (measured instanceof Error) throw measured;
        return [...measured];
      },
      evict: (_pod, message) => void evicted.push(message),
      clock: new ManualClock(),
      logger: silentLogger,
    });
    return { watch, asked, evicted };
  }
  const { signal } = new AbortController();

  test("LocalStorageWatch measures volumes and logs of pods with limits alone", async () => {
    const limited = podOf({ app: "1Mi" }, { cache: "" });
    const done = { ...limited, status: { phase: "Failed" } };
    const { watch, asked, evicted } = setUp([podOf({ app: "" }), done, limited], [MIB, MIB]);
    await watch.look(signal);
    expect(asked).toEqual([["/volumes/cache", "/logs/app"]]);
    expect(evicted).toHaveLength(1);
    expect(evicted[0]).toStartWith("Pod ephemeral local storage usage exceeds");
  });

  test("LocalStorageWatch evicts nobody for a walk that failed", async () => {
    const { watch, evicted } = setUp([podOf({ app: "1Mi" })], new Error("too long"));
    await watch.look(signal);
    expect(evicted).toEqual([]);
  });
});
