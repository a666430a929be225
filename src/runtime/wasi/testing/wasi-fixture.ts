import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  formatReference,
  ImageError,
  type Reference,
  type ResolvedImage,
} from "../../../images/index.ts";
import { SeededRandom, silentLogger } from "../../../lib/index.ts";
import { createProcessSpawner, systemClock } from "../../../os/index.ts";
import type { RuntimeFixture } from "../../testing/runtime-contract.ts";
import { COMPONENTS } from "../component/testing/translated.ts";
import { createWasiRuntime, type WasiRuntime, type WasiRuntimeOptions } from "../wasi-runtime.ts";

const source = join(import.meta.dir, "..", "..", "..");
const SERVER = join(source, "..", "workloads", "hello-http", "hello-http.wasm");

/** `(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))` */
const BUSY_MODULE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02,
  0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x13, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72,
  0x79, 0x02, 0x00, 0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x00, 0x0a, 0x09, 0x01, 0x07,
  0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b,
]);

/** Pods whose containers share their process, which no guest may block for long. */
export const SHARING_POD = {
  serviceAccount: "default",
  annotations: { "kubun.dev/share-worker": "true", "kubun.dev/request-timeout": "1500ms" },
};

/** The WASI runtime with real workers in a directory of its own. */
export class WasiFixture implements RuntimeFixture {
  readonly serverImage = "hello-http:v1";
  readonly busyImage = "busy:v1";
  readonly componentImage = "service:v1";
  readonly missingImage = "missing:v1";
  readonly root = mkdtempSync(join(tmpdir(), "kubun-rt-"));
  readonly podConfig: NonNullable<RuntimeFixture["podConfig"]>;
  readonly #options: Partial<WasiRuntimeOptions>;
  readonly #images: Map<string, ResolvedImage>;
  #seed = Math.floor(performance.now() * 1000);

  constructor(
    options: Partial<WasiRuntimeOptions> = {},
    podConfig: NonNullable<RuntimeFixture["podConfig"]> = {},
  ) {
    this.#options = options;
    this.podConfig = podConfig;
    const busy = join(this.root, "busy.wasm");
    writeFileSync(busy, BUSY_MODULE);
    this.#images = new Map(
      [
        [this.serverImage, SERVER],
        [this.busyImage, busy],
        [this.componentImage, COMPONENTS.service],
      ].map(([reference = "", modulePath = ""]) => [reference, imageOf(reference, modulePath)]),
    );
  }

  async open(): Promise<{ runtime: WasiRuntime; close(): Promise<void> }> {
    const runtime = createWasiRuntime({
      stateDirectory: join(this.root, "state"),
      socketDirectory: join(this.root, "s"),
      images: this.images,
      podCidr: "127.142.0.0/16",
      spawner: createProcessSpawner(),
      workerCommand: [process.execPath, join(source, "cmd", "wasi-worker.ts")],
      clock: systemClock,
      random: new SeededRandom(this.#seed++),
      logger: silentLogger,
      warmWorkers: 1,
      ...this.#options,
    });
    await runtime.start();
    return { runtime, close: async () => runtime.shutdown() };
  }

  get images(): WasiRuntimeOptions["images"] {
    const nameOf = (reference: string | Reference) =>
      typeof reference === "string" ? reference : formatReference(reference);
    const find = (reference: string | Reference) => this.#images.get(nameOf(reference));
    return {
      get: find,
      list: () => [...this.#images.values()],
      remove: async (reference) => this.#images.delete(nameOf(reference)),
      pull: async (reference) => {
        const image = find(reference);
        if (image === undefined)
          throw new ImageError("not-found", `${nameOf(reference)}: not found`);
        return image;
      },
    };
  }

  /** Makes an image known under another name or of another kind. */
  addImage(image: ResolvedImage): void {
    this.#images.set(image.reference, image);
  }

  logPath(name: string): string {
    return join(this.root, "logs", name, "0.log");
  }

  directory(name: string): string {
    const path = join(this.root, "volumes", name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  fetch(
    runtime: { endpoint(ip: string, port: number): string | undefined },
    ip: string,
    port: number,
    path: string,
  ): Promise<Response> {
    const unix = runtime.endpoint(ip, port);
    if (unix === undefined) throw new Error(`${ip}:${port} has no endpoint`);
    const headers = { connection: "close" };
    return fetch(`http://${ip}:${port}${path}`, { unix, headers, keepalive: false });
  }

  async dispose(): Promise<void> {
    rmSync(this.root, { recursive: true, force: true });
  }
}

function imageOf(reference: string, modulePath: string): ResolvedImage {
  const digest = `sha256:${createHash("sha256").update(reference).digest("hex")}`;
  return { reference, digest, kind: "wasm", modulePath, config: {}, sizeBytes: 1 };
}
