import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packTar } from "modern-tar";
import type { TarEntry } from "modern-tar";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { containersObstacle, startContainerLab } from "../harness/container-lab.ts";
import type { ContainerLab } from "../harness/container-lab.ts";
import { temporaryDirectory } from "../harness/spawned-server.ts";

const TEST_TIMEOUT_MS = 120_000;
const SOON = { deadlineMs: 60_000 };
const LARGE_LAYER_BYTES = 256 * 1024 * 1024;
/** Containers whose subPath is opened while another one swaps it. */
const LOOKERS = 6;
const obstacle = await containersObstacle();

type Entry = Readonly<Record<"name", string>> &
  Partial<Readonly<Record<"linkname" | "text", string>>> & {
    readonly type: "file" | "symlink" | "link" | "directory";
  };

/** Images and containers that mean harm, beside a pod that has to go on answering. */
describe.skipIf(obstacle !== undefined)(`hostile containers${obstacle ?? ""}`, () => {
  const work = temporaryDirectory();
  /** What images would like to write to, from wherever their files are unpacked. */
  const outside = mkdtempSync(join(tmpdir(), "kubun-outside-"));
  const victim = join(outside, "victim");
  let lab: ContainerLab;

  beforeAll(async () => {
    lab = await startContainerLab();
    await push("box", []);
    await runPod("neighbour", script("touch /tmp/ok; httpd -f -p 8080 -h /tmp"));
    await ready("neighbour");
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    for (const path of [work, outside]) rmSync(path, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  const sha256 = (bytes: Uint8Array): string =>
    `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

  async function layerOf(entries: readonly Entry[]): Promise<Uint8Array<ArrayBuffer>> {
    const packed = entries.map(({ name, type, linkname, text = "" }): TarEntry => {
      const body = new TextEncoder().encode(text);
      const size = type === "file" ? body.length : 0;
      const header = { name, size, type, mode: 0o777, mtime: new Date(0) };
      return {
        header: linkname === undefined ? header : { ...header, linkname },
        ...(type === "file" ? { body } : {}),
      };
    });
    return new Uint8Array(await packTar(packed));
  }

  /** Pushes an image of BusyBox under these layers. */
  async function push(
    name: string,
    layers: readonly Uint8Array<ArrayBuffer>[],
    mediaType = "application/vnd.oci.image.layer.v1.tar",
  ): Promise<string[]> {
    const layout = join(work, name);
    mkdirSync(join(layout, "blobs", "sha256"), { recursive: true });
    const write = (bytes: Uint8Array): { digest: string; size: number } => {
      const digest = sha256(bytes);
      writeFileSync(join(layout, "blobs", digest.replace(":", "/")), bytes);
      return { digest, size: bytes.length };
    };
    const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    const all = [await busyboxLayer(), ...layers];
    const written = all.map(write);
    const plain = all.map((bytes) => (bytes[0] === 0x1f ? Bun.gunzipSync(bytes) : bytes));
    const config = write(
      json({
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
        rootfs: { type: "layers", diff_ids: plain.map(sha256) },
      }),
    );
    const manifest = write(
      json({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
        layers: written.map((blob, index) => ({
          mediaType: index === 0 ? "application/vnd.oci.image.layer.v1.tar" : mediaType,
          ...blob,
        })),
      }),
    );
    const type = { mediaType: "application/vnd.oci.image.manifest.v1+json" };
    const index = { schemaVersion: 2, manifests: [{ ...type, ...manifest }] };
    writeFileSync(join(layout, "index.json"), json(index));
    writeFileSync(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
    await lab.push(layout, `${name}:v1`);
    return written.map(({ digest }) => digest);
  }

  async function busyboxLayer(): Promise<Uint8Array<ArrayBuffer>> {
    const tree = join(work, "tree");
    if (!existsSync(tree)) {
      mkdirSync(join(tree, "bin"), { recursive: true });
      cpSync(Bun.which("busybox") ?? "", join(tree, "bin", "busybox"));
      const links =
        "for t in sh cat ls ln mkdir rm mv sleep touch yes httpd; do ln -s busybox $t; done";
      Bun.spawnSync(["sh", "-c", `mkdir -m 1777 ../tmp && ${links}`], { cwd: join(tree, "bin") });
      Bun.spawnSync(["tar", "-C", tree, "--owner=0", "--group=0", "-cf", `${tree}.tar`, "."]);
    }
    return new Uint8Array(await Bun.file(`${tree}.tar`).arrayBuffer());
  }

  const script = (text: string, more: object = {}): object => ({
    name: "c",
    image: "box:v1",
    command: ["sh", "-c", text],
    ...more,
  });

  async function runPod(name: string, container: object, more: object = {}): Promise<void> {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, containers: [container], ...more },
    };
    await lab.kubectl.feed(JSON.stringify(pod), "apply", "-f", "-");
  }

  const field = (pod: string, path: string): Promise<string> =>
    lab.kubectl.ok("get", "pod", pod, "-o", `jsonpath={${path}}`);

  const ready = (pod: string): Promise<string> =>
    lab.kubectl.ok("wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=60s");

  /** The neighbour answers, has not been started again, and nothing was written outside. */
  async function expectUnharmed(): Promise<void> {
    const ip = await field("neighbour", ".status.podIP");
    await lab.run("curl", "-sSf", "--max-time", "5", `http://${ip}:8080/ok`);
    expect(await field("neighbour", ".status.containerStatuses[0].restartCount")).toBe("0");
    expect(await lab.kubectl.ok("get", "nodes")).toContain(" Ready ");
    expect(existsSync(victim)).toBe(false);
  }

  /** The pod came to run or was refused, whichever; it is deleted again. */
  async function settled(pod: string): Promise<string> {
    let state = "";
    await eventually(
      async () => {
        state = await field(pod, ".status.containerStatuses[0].state");
        return /"(running|terminated)"|ErrImagePull|ImagePullBackOff|CreateContainer|RunContainer/.test(
          state,
        );
      },
      { ...SOON, what: `${pod} runs or is refused` },
    );
    await lab.kubectl.ok("delete", "pod", pod, "--wait=false");
    return state;
  }

  test(
    "hostile containers: links and paths of an image lead nowhere outside of it",
    async () => {
      const up = "../".repeat(20);
      const file = (name: string): Entry => ({ name, type: "file", text: "written\n" });
      const images: Readonly<Record<string, readonly Entry[]>> = {
        absolute: [file(victim)],
        dots: [file(`${up}${victim.slice(1)}`)],
        symlink: [{ name: "out", type: "symlink", linkname: outside }, file("out/victim")],
        chain: [
          { name: "a", type: "symlink", linkname: `${up}${outside.slice(1)}` },
          { name: "b", type: "symlink", linkname: "a" },
          { name: "c", type: "symlink", linkname: "b/." },
          file("c/victim"),
        ],
        "hard-link": [{ name: "shadow", type: "link", linkname: "/etc/shadow" }],
        "hard-chain": [
          { name: "etc", type: "symlink", linkname: "/etc" },
          { name: "shadow", type: "link", linkname: `${up}etc/shadow` },
        ],
        circle: [
          { name: "x", type: "symlink", linkname: "y" },
          { name: "y", type: "symlink", linkname: "x" },
          file("x/victim"),
        ],
      };
      await Promise.all(
        Object.entries(images).map(async ([name, entries]) => {
          const layers = await Promise.all(entries.map((entry) => layerOf([entry])));
          await push(`one-${name}`, [await layerOf(entries)]);
          await push(`each-${name}`, layers);
          for (const image of [`one-${name}`, `each-${name}`]) {
            const look = script("cat /shadow; sleep 60", { image: `${image}:v1` });
            await runPod(image, look);
            await settled(image);
          }
        }),
      );
      await expectUnharmed();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "hostile containers: content that is not what its digest says is refused",
    async () => {
      const [, digest = ""] = await push("damaged", [await layerOf([file("/data")])]);
      const hex = digest.replace("sha256:", "");
      const blobs = join(lab.server.dataDir, "images", "blobs", "sha256");
      const stored = join(blobs, hex.slice(0, 2), hex);
      writeFileSync(stored, "a".repeat(Bun.file(stored).size));
      await runPod("damaged", script("sleep 60", { image: "damaged:v1" }));
      expect(await settled("damaged")).toMatch(/ErrImagePull|ImagePullBackOff/);
      await expectUnharmed();
    },
    TEST_TIMEOUT_MS,
  );

  const file = (name: string): Entry => ({ name, type: "file", text: "some data\n" });

  test(
    "hostile containers: a layer that is far larger than it looks holds nobody up",
    async () => {
      const size = LARGE_LAYER_BYTES;
      const body = new Uint8Array(size);
      const header = {
        name: "zeros",
        size,
        type: "file" as const,
        mode: 0o644,
        mtime: new Date(0),
      };
      const layer = Bun.gzipSync(new Uint8Array(await packTar([{ header, body }])), { level: 1 });
      await push("large", [layer], "application/vnd.oci.image.layer.v1.tar+gzip");
      await runPod("large", script("sleep 60", { image: "large:v1" }));
      await expectUnharmed();
      expect(await settled("large")).toContain("running");
      await expectUnharmed();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "hostile containers: a subPath that is swapped for a link leads nowhere outside its volume",
    async () => {
      const swap = "cd /v; while :; do rm -rf p; ln -s /etc p; rm -f p; mkdir p; sleep 0.02; done";
      const look =
        "if [ -e /m/passwd ] && [ -e /m/shadow ]; then echo escaped; else echo kept; fi; sleep 1";
      const mount = { name: "v", mountPath: "/m", subPath: "p" };
      await runPod("racer", script(swap, { volumeMounts: [{ name: "v", mountPath: "/v" }] }), {
        restartPolicy: "Always",
        containers: [
          { ...script(swap, { volumeMounts: [{ name: "v", mountPath: "/v" }] }), name: "swap" },
          ...Array.from({ length: LOOKERS }, (_, index) => ({
            ...script(look, { volumeMounts: [mount] }),
            name: `look-${index}`,
          })),
        ],
        volumes: [{ name: "v", emptyDir: {} }],
      });
      await eventually(
        async () => {
          // Many are refused, because there is nothing or a link when they start.
          const started = await field("racer", ".status.containerStatuses[*].containerID");
          return started.trim().split(/ +/).length >= 2;
        },
        { ...SOON, what: "containers were started beside the swap" },
      );
      for (let index = 0; index < LOOKERS; index++) {
        const { stdout } = await lab.kubectl("logs", "racer", "-c", `look-${index}`);
        expect(stdout).not.toContain("escaped");
      }
      await lab.kubectl.ok("delete", "pod", "racer", "--wait=false");
      await expectUnharmed();
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "hostile containers: a flood of lines leaves the others answering",
    async () => {
      const limits = { cpu: "200m", memory: "64Mi" };
      await runPod("flood", script("yes flooding", { resources: { limits } }));
      await ready("flood");
      for (let round = 0; round < 10; round++) await expectUnharmed();
      const logs = join(lab.server.dataDir, "logs");
      const place = existsSync(logs) ? logs : lab.server.dataDir;
      const kilobytes = async (): Promise<number> =>
        Number(/^\d+/.exec(await lab.run("du", "-sk", place))?.[0] ?? 0);
      await eventually(async () => (await kilobytes()) < 400 * 1024, SOON);
      await lab.kubectl.ok("delete", "pod", "flood", "--timeout=60s");
      await expectUnharmed();
    },
    TEST_TIMEOUT_MS,
  );
});
