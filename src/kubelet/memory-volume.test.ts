import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "../api/index.ts";
import { memoryVolumeBytes } from "./memory-volume.ts";
import { PodVolumes } from "./pod-volumes.ts";

const MIB = 1024 * 1024;
const TMPFS = 0x01021994;

function podOf(memoryLimits: readonly (string | undefined)[], sizeLimit?: string): Pod {
  return {
    metadata: { name: "web", namespace: "default", uid: "u1" },
    spec: {
      containers: memoryLimits.map((memory, index) => ({
        name: `c${index}`,
        ...(memory === undefined ? {} : { resources: { limits: { memory } } }),
      })),
      volumes: [
        {
          name: "fast",
          emptyDir: { medium: "Memory", ...(sizeLimit === undefined ? {} : { sizeLimit }) },
        },
      ],
    },
  };
}

function bytesOf(pod: Pod): number | undefined {
  return memoryVolumeBytes(pod, pod.spec?.volumes?.[0] ?? { name: "none" });
}

describe("memoryVolumeBytes", () => {
  test("memoryVolumeBytes is the volume's limit, but not more than the pod may have", () => {
    expect(bytesOf(podOf([undefined], "1Mi"))).toBe(MIB);
    expect(bytesOf(podOf(["4Mi", "4Mi"], "1Mi"))).toBe(MIB);
    expect(bytesOf(podOf(["4Mi", "4Mi"], "1Gi"))).toBe(8 * MIB);
    expect(bytesOf(podOf(["4Mi", "4Mi"]))).toBe(8 * MIB);
    expect(bytesOf(podOf(["4Mi", undefined]))).toBeUndefined();
  });
});

/** Mounting is root's; CI runs as root. */
describe.skipIf(process.getuid?.() !== 0)("PodVolumes with memory", () => {
  test("PodVolumes mounts an emptyDir of memory once, and takes it away with its pod", () => {
    const root = mkdtempSync(join(tmpdir(), "kubun-memory-volume-"));
    const volumes = new PodVolumes(root);
    const pod = podOf([undefined], "1Mi");
    const addresses = { podIp: "127.0.0.1", hostIp: "127.0.0.1" };
    const allocatable = { cpuMillis: 1, memoryBytes: 1, ephemeralStorageBytes: 1 };
    const references = { configMap: () => undefined, secret: () => undefined };
    const input = { pod, addresses, allocatable, references };
    volumes.prepare(input, 0);
    const directory = volumes.path(pod, "fast");
    writeFileSync(join(directory, "file"), "kept");
    volumes.prepare(input, 0);
    expect(existsSync(join(directory, "file"))).toBe(true);
    expect(statfsSync(directory).type).toBe(TMPFS);
    expect(() => writeFileSync(join(directory, "big"), Buffer.alloc(2 * MIB))).toThrow("ENOSPC");
    volumes.remove("u1");
    expect(volumes.list()).toEqual([]);
    rmSync(root, { recursive: true });
  });
});
