import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CancelTimer, type Clock, type Logger, sleep } from "../../../lib/index.ts";
import { RuntimeError } from "../../runtime.ts";
import { type CriClient, connectCri } from "../cri/cri-client.ts";
import { CriError } from "../cri/cri-error.ts";
import { IMAGE, RUNTIME } from "../cri/methods.ts";
import type { ContainerTools } from "./container-tools.ts";
import type { OwnContainerd } from "./own-containerd.ts";
import { PAUSE_IMAGE, pauseImageArchive } from "./pause-image.ts";
import type { PauseArchitecture } from "./pause-program.ts";

/** A containerd of ours with what has to be there before it and in it. */
export interface OwnServer {
  readonly containerd: OwnContainerd;
  readonly directory: string;
  readonly tools: () => ContainerTools;
  readonly architecture: PauseArchitecture;
  /** The network's plugin and its configuration. */
  readonly prepare: () => Promise<void>;
}

export interface CriConnectionOptions {
  readonly socketPath: string;
  /** Absent: somebody else keeps what listens there running. */
  readonly own?: OwnServer;
  /** Called whenever a server answers for the first time, or again after it was gone. */
  readonly onReady: (client: CriClient) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ConnectedCri {
  readonly client: CriClient;
  readonly version: string;
}

const START_PATIENCE_MS = 20_000;
const START_POLL_MS = 20;
const CALL_TIMEOUT_MS = 10_000;
const WATCH_INTERVAL_MS = 1000;
const MAX_BACK_OFF_MS = 60_000;
/** One that ran for so long did not fail because of how it was started. */
const STABLE_MS = 60_000;

/** Keeps a CRI at hand: started when it is first needed, and again whenever it is gone. */
export class CriConnection {
  readonly #options: CriConnectionOptions;
  #connecting: Promise<ConnectedCri> | undefined;
  #client: CriClient | undefined;
  #failures = 0;
  #retryAt = 0;
  #readySince = 0;
  #watch: CancelTimer | undefined;
  #closed = false;

  constructor(options: CriConnectionOptions) {
    this.#options = options;
  }

  /** True from the first demand on. */
  get isUsed(): boolean {
    return this.#connecting !== undefined;
  }

  /** The server, once it answers. Errors: RuntimeError `unsupported`, `start-failed`. */
  connected(): Promise<ConnectedCri> {
    if (this.#closed) {
      return Promise.reject(new RuntimeError("unsupported", "the container runtime is shut down"));
    }
    this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = undefined;
      throw error;
    });
    return this.#connecting;
  }

  /** A call found nobody: the next one asks again, and starts a server if there is none. */
  lost(): void {
    const { own } = this.#options;
    if (own === undefined) this.#letGo();
    else if (!own.containerd.isAlive) this.#startAgain();
  }

  close(): void {
    this.#closed = true;
    this.#watch?.();
    this.#letGo();
  }

  #letGo(): void {
    this.#connecting = undefined;
    this.#client?.close();
    this.#client = undefined;
  }

  async #connect(): Promise<ConnectedCri> {
    const { clock, own } = this.#options;
    const wait = this.#retryAt - clock.monotonic();
    if (wait > 0) await sleep(clock, wait);
    try {
      if (own !== undefined) {
        await own.prepare();
        await own.containerd.run();
      }
      const connected = await this.#answering();
      this.#client = connected.client;
      if (own !== undefined) await this.#importPauseImage(own, connected.client);
      await this.#options.onReady(connected.client);
      this.#readySince = clock.monotonic();
      this.#startWatch();
      return connected;
    } catch (error) {
      this.#backOff();
      this.#client?.close();
      this.#client = undefined;
      throw error;
    }
  }

  #backOff(): void {
    const delay = this.#failures === 0 ? 0 : Math.min(MAX_BACK_OFF_MS, 500 * 2 ** this.#failures);
    this.#failures++;
    this.#retryAt = this.#options.clock.monotonic() + delay;
  }

  /** Resolves with the first answer. */
  async #answering(): Promise<ConnectedCri> {
    const { socketPath, own, clock } = this.#options;
    const deadline = clock.monotonic() + START_PATIENCE_MS;
    for (;;) {
      // The library waits longer after each failure, so each try is a new client.
      const client = existsSync(socketPath) ? await connectCri(socketPath, clock) : undefined;
      const answer = await client
        ?.call(RUNTIME.version, {}, { timeoutMs: CALL_TIMEOUT_MS })
        .catch((error: unknown) => error);
      if (client !== undefined && answer !== undefined && !(answer instanceof Error)) {
        const { runtimeVersion } = Object(answer);
        return { client, version: String(runtimeVersion) };
      }
      client?.close();
      if (answer instanceof CriError && answer.isUnimplemented) throw noCri(socketPath);
      // Nobody here starts what somebody else keeps running: pods are tried again later anyway.
      const gone = own === undefined || !own.containerd.isAlive;
      if (gone || clock.monotonic() > deadline) throw this.#silent(answer);
      await sleep(clock, START_POLL_MS);
    }
  }

  #silent(answer: unknown): RuntimeError {
    const { own, socketPath } = this.#options;
    if (own === undefined) {
      const why = answer instanceof CriError ? answer.details : "there is no such socket";
      return new RuntimeError(
        "unsupported",
        `no container runtime at unix://${socketPath}: ${why}`,
      );
    }
    const words = own.containerd.lastWords;
    return new RuntimeError("start-failed", `containerd does not answer: ${words}`);
  }

  async #importPauseImage(own: OwnServer, client: CriClient): Promise<void> {
    const request = { image: { image: PAUSE_IMAGE } };
    const found = await client.call(IMAGE.imageStatus, request, { timeoutMs: CALL_TIMEOUT_MS });
    if (found.image !== undefined) return;
    mkdirSync(own.directory, { recursive: true });
    const path = join(own.directory, "pause.tar");
    writeFileSync(path, await pauseImageArchive(own.architecture));
    try {
      await importImage({
        archive: path,
        tools: own.tools(),
        socketPath: this.#options.socketPath,
      });
    } finally {
      rmSync(path, { force: true });
    }
  }

  /** containerd that was killed is started again soon, not with the next pod. */
  #startWatch(): void {
    const { own, clock } = this.#options;
    if (own === undefined) return;
    this.#watch?.();
    this.#watch = clock.after(WATCH_INTERVAL_MS, () => {
      this.#watch = undefined;
      if (this.#closed) return;
      if (!own.containerd.isAlive) return this.#startAgain();
      if (clock.monotonic() - this.#readySince > STABLE_MS) this.#failures = 0;
      this.#startWatch();
    });
  }

  #startAgain(): void {
    // Without a client it is being started already.
    if (this.#closed || this.#client === undefined) return;
    this.#options.logger.warn("containerd is gone and will be started again; pods run on");
    this.#backOff();
    this.#letGo();
    this.#connectUntilThere();
  }

  #connectUntilThere(): void {
    this.connected().catch((error: unknown) => {
      if (this.#closed) return;
      this.#options.logger.error("containerd could not be started again", { error });
      this.#connectUntilThere();
    });
  }
}

function noCri(socketPath: string): RuntimeError {
  return new RuntimeError(
    "unsupported",
    `what listens at unix://${socketPath} does not serve the CRI (runtime.v1): its CRI plugin ` +
      `may be disabled (disabled_plugins in containerd's config.toml), or it is too old`,
  );
}

/** Puts the images of an archive into our containerd, where the CRI looks for them. */
export function importImage(options: {
  readonly archive: string;
  readonly tools: ContainerTools;
  readonly socketPath: string;
}): Promise<void> {
  const { archive, tools, socketPath } = options;
  const parameters = ["--address", socketPath, "--namespace", "k8s.io", "images", "import"];
  return new Promise((resolve, reject) => {
    const child = spawn(tools.ctr, [...parameters, "--digests", archive], {
      env: { PATH: tools.path },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let words = "";
    child.stderr.on("data", (data: Buffer) => {
      words = (words + data.toString()).slice(-1024);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new RuntimeError("start-failed", `${archive} could not be imported: ${words}`));
    });
  });
}
