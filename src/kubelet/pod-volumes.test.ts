import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, Pod, Volume } from "../api/index.ts";
import { writeAtomicDirectory } from "./atomic-directory.ts";
import { prepareHostPath } from "./host-path.ts";
import { PodVolumes, resolveSubPath } from "./pod-volumes.ts";
import type { Payload } from "./volume-payload.ts";

describe("volumes of a pod", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-volumes-"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function payload(files: Record<string, string>, mode = 0o644): Payload {
    return new Map(
      Object.entries(files).map(([path, text]) => [path, { content: Buffer.from(text), mode }]),
    );
  }

  describe("writeAtomicDirectory", () => {
    test("writeAtomicDirectory: replaces everything by one link, and only on a change", () => {
      const directory = join(root, "v");
      expect(writeAtomicDirectory(directory, payload({ a: "1", "d/b": "2" }), 1000)).toBe(true);
      expect(readlinkSync(join(directory, "a"))).toBe("..data/a");
      expect(readlinkSync(join(directory, "d"))).toBe("..data/d");
      const first = readlinkSync(join(directory, "..data"));
      expect(writeAtomicDirectory(directory, payload({ a: "1", "d/b": "2" }), 2000)).toBe(false);
      expect(readlinkSync(join(directory, "..data"))).toBe(first);
      expect(writeAtomicDirectory(directory, payload({ a: "3" }), 1000)).toBe(true);
      expect(readFileSync(join(directory, "a"), "utf8")).toBe("3");
      expect(readdirSync(directory).sort()).toEqual(["..1001", "..data", "a"]);
    });

    test("writeAtomicDirectory: a change of mode is a change", () => {
      const directory = join(root, "v");
      writeAtomicDirectory(directory, payload({ a: "1" }, 0o644), 1);
      expect(writeAtomicDirectory(directory, payload({ a: "1" }, 0o400), 2)).toBe(true);
      expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o400);
    });
  });

  describe("prepareHostPath", () => {
    test("prepareHostPath: makes what its type makes, and refuses what is something else", () => {
      const path = (name: string): string => join(root, name);
      prepareHostPath({ path: path("plain/deep") });
      prepareHostPath({ path: path("made"), type: "DirectoryOrCreate" });
      prepareHostPath({ path: path("file"), type: "FileOrCreate" });
      expect(statSync(path("plain/deep")).isDirectory()).toBe(true);
      expect([statSync(path("made")).mode & 0o777, statSync(path("file")).mode & 0o777]).toEqual([
        0o755, 0o644,
      ]);
      prepareHostPath({ path: path("file"), type: "File" });
      prepareHostPath({ path: path("made"), type: "Directory" });
      prepareHostPath({ path: "/dev/null", type: "CharDevice" });
      const refusals = [
        ["file", "Directory", "a directory"],
        ["nothing", "Directory", "a directory"],
        ["made", "File", "a file"],
        ["made", "FileOrCreate", "a file"],
        ["file", "DirectoryOrCreate", "a directory"],
        ["file", "Socket", "a socket file"],
        ["file", "BlockDevice", "a block device"],
        ["nothing", "CharDevice", "a character device"],
      ] as const;
      for (const [name, type, what] of refusals) {
        const text = `hostPath type check failed: ${path(name)} is not ${what}`;
        expect(() => prepareHostPath({ path: path(name), type })).toThrow(text);
      }
    });

    test("PodVolumes: tokens are kept in memory, closed to others, and go with their pod", () => {
      const memory = join(root, "memory", "cluster");
      const volumes = new PodVolumes(join(root, "kubelet"), memory);
      const sources = [{ serviceAccountToken: { path: "token" } }];
      const spec = { containers: [], volumes: [{ name: "access", projected: { sources } }] };
      const pod: Pod = { metadata: { uid: "u" }, spec };
      const references = { configMap: () => undefined, secret: () => undefined };
      const allocatable = { cpuMillis: 1, memoryBytes: 1, ephemeralStorageBytes: 1 };
      const addresses = { podIp: "127.42.0.2", hostIp: "127.0.0.1" };
      volumes.prepare({ pod, addresses, allocatable, references, tokens: () => "t1" }, 1);
      const path = volumes.path(pod, "access");
      expect(path).toStartWith(memory);
      expect(readFileSync(join(path, "token"), "utf8")).toBe("t1");
      const modes = [memory, join(root, "memory")].map((made) => statSync(made).mode & 0o777);
      expect(modes).toEqual([0o700, 0o700]);
      expect(volumes.list()).toEqual(["u"]);
      volumes.remove("u");
      expect(volumes.list()).toEqual([]);
    });

    test("PodVolumes: a hostPath is mounted itself, a part or a file of it, but no device", () => {
      const volumes = new PodVolumes(join(root, "kubelet"));
      writeFileSync(join(root, "one"), "1");
      mkdirSync(join(root, "part"));
      symlinkSync("/etc", join(root, "part", "link"));
      const mounted = (path: string, mount: object) => {
        const spec = { containers: [], volumes: [{ name: "v", hostPath: { path } }] };
        const pod: Pod = { metadata: { uid: "u" }, spec };
        const volumeMounts = [{ name: "v", mountPath: "/x/y", ...mount }];
        const container = { name: "c", volumeMounts };
        return volumes.mounts(pod, container, { env: new Map(), kind: "wasm" })[0];
      };
      const own = { guestPath: "/x/y", hostPath: root, readOnly: false };
      expect(mounted(root, {})).toEqual(own);
      expect(mounted(root, { readOnly: true })).toEqual({ ...own, readOnly: true });
      expect(mounted(root, { subPath: "part" })?.hostPath).toBe(join(root, "part"));
      expect(() => mounted(root, { subPath: "part/link" })).toThrow("leads out of the volume");
      const file = mounted(join(root, "one"), {});
      expect([file?.guestPath, file?.readOnly]).toEqual(["/x", true]);
      expect(readFileSync(join(file?.hostPath ?? "", "y"), "utf8")).toBe("1");
      expect(() => mounted("/dev/null", {})).toThrow("is a device or a socket");
    });
  });

  describe("resolveSubPath", () => {
    test("resolveSubPath: makes missing directories in a writable volume only", () => {
      const made = resolveSubPath(root, "a/b", { create: true });
      expect(statSync(made).isDirectory()).toBe(true);
      expect(() => resolveSubPath(root, "c", { create: false })).toThrow("is not in the volume");
    });

    test("resolveSubPath: refuses every way out of the volume", () => {
      const volume = join(root, "volume");
      mkdirSync(volume);
      mkdirSync(join(root, "outside"));
      symlinkSync(join(root, "outside"), join(volume, "absolute"));
      symlinkSync("../outside", join(volume, "relative"));
      symlinkSync("/", join(volume, "root"));
      for (const path of ["absolute", "relative", "root/etc", "absolute/new"]) {
        expect(() => resolveSubPath(volume, path, { create: true })).toThrow("out of the volume");
      }
      for (const path of ["../outside", "/etc", "a/../../outside"]) {
        expect(() => resolveSubPath(volume, path, { create: true })).toThrow('without ".."');
      }
    });

    test("resolveSubPath: follows a link that stays inside", () => {
      mkdirSync(join(root, "real"));
      symlinkSync("real", join(root, "link"));
      expect(resolveSubPath(root, "link", { create: false })).toEndWith("/real");
    });
  });

  describe("PodVolumes", () => {
    const container = (mounts: Container["volumeMounts"]): Container => ({
      name: "app",
      ...(mounts === undefined ? {} : { volumeMounts: mounts }),
    });

    function prepared(volumes: Volume[]): { pod: Pod; all: PodVolumes } {
      const pod: Pod = {
        metadata: { name: "web", namespace: "default", uid: "u-1", labels: { app: "web" } },
        spec: { containers: [container([])], volumes },
      };
      const all = new PodVolumes(root);
      all.prepare(
        {
          pod,
          addresses: { podIp: "127.42.0.2", hostIp: "127.0.0.1" },
          allocatable: { cpuMillis: 2000, memoryBytes: 1024, ephemeralStorageBytes: 1024 },
          references: {
            configMap: (name) =>
              name === "words"
                ? { metadata: { name }, data: { a: "1", b: "2" }, binaryData: { c: "/w==" } }
                : undefined,
            secret: (name) =>
              name === "keys" ? { metadata: {}, data: { k: "aHVzaA==" } } : undefined,
          },
        },
        1000,
      );
      return { pod, all };
    }

    test("PodVolumes: projects several sources into one volume", () => {
      const { pod, all } = prepared([
        {
          name: "p",
          projected: {
            defaultMode: 0o440,
            sources: [
              {
                configMap: {
                  name: "words",
                  items: [{ key: "a", path: "words/first", mode: 0o600 }],
                },
              },
              { secret: { name: "keys" } },
              {
                downwardAPI: {
                  items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }],
                },
              },
            ],
          },
        },
      ]);
      const [mount] = all.mounts(pod, container([{ name: "p", mountPath: "/p" }]), {
        env: new Map(),
        kind: "wasm",
      });
      expect(mount).toMatchObject({ guestPath: "/p", readOnly: true });
      const read = (path: string) => readFileSync(join(mount?.hostPath ?? "", path), "utf8");
      expect(read("words/first")).toBe("1");
      expect(read("k")).toBe("hush");
      expect(read("labels")).toBe('app="web"');
      expect(statSync(join(mount?.hostPath ?? "", "k")).mode & 0o777).toBe(0o440);
      expect(statSync(join(mount?.hostPath ?? "", "words/first")).mode & 0o777).toBe(0o600);
    });

    test("PodVolumes: says what is missing or not supported", () => {
      const message = (volume: Volume): string => {
        try {
          prepared([volume]);
          return "";
        } catch (error) {
          return String(error);
        }
      };
      expect(message({ name: "v", configMap: { name: "none" } })).toContain(
        'MountVolume.SetUp failed for volume "v" : configmap "none" not found',
      );
      expect(message({ name: "v", configMap: { name: "none", optional: true } })).toBe("");
      const items = [{ key: "zzz", path: "x" }];
      expect(message({ name: "v", configMap: { name: "words", items } })).toContain("key: zzz");
      const path = [{ key: "a", path: "../../escape" }];
      expect(message({ name: "v", configMap: { name: "words", items: path } })).toContain(
        "must be",
      );
      expect(message({ name: "v", nfs: { path: "/", server: "x" } })).toContain(
        "nfs is not supported",
      );
    });

    test("PodVolumes: expands subPathExpr, and stages a single file in a directory", () => {
      const { pod, all } = prepared([
        { name: "data", emptyDir: {} },
        { name: "words", configMap: { name: "words" } },
      ]);
      const mounts = all.mounts(
        pod,
        container([
          { name: "data", mountPath: "/data", subPathExpr: "$(POD)" },
          { name: "words", mountPath: "/etc/app/a.txt", subPath: "a" },
          { name: "words", mountPath: "/etc/app/b.txt", subPath: "b" },
        ]),
        { env: new Map([["POD", "web-0"]]), kind: "wasm" },
      );
      expect(mounts.map(({ guestPath, readOnly }) => [guestPath, readOnly])).toEqual([
        ["/data", false],
        ["/etc/app", true],
      ]);
      expect(mounts[0]?.hostPath).toEndWith("/web-0");
      expect(readdirSync(mounts[1]?.hostPath ?? "").sort()).toEqual(["a.txt", "b.txt"]);
      writeFileSync(join(root, "keep"), "");
      expect(all.list()).toEqual(["u-1"]);
      all.remove("u-1");
      expect(all.list()).toEqual([]);
      expect(() => all.remove("../keep")).toThrow("cannot name a directory");
    });
  });
});
