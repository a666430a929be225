import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Clock, type Logger, sleep } from "../../../lib/index.ts";
import type { ProcessIdentity, ProcessSpawner } from "../../process-spawner.ts";
import { RuntimeError } from "../../runtime.ts";
import type { ContainerTools } from "./container-tools.ts";
import { containerdConfig, type ContainerdPlaces } from "./containerd-config.ts";

export interface OwnContainerdOptions {
  /** Its root, configuration, log and record. */
  readonly directory: string;
  readonly places: ContainerdPlaces;
  readonly tools: () => ContainerTools;
  readonly processes: Pick<ProcessSpawner, "identify" | "isAlive" | "kill">;
  readonly clock: Clock;
  readonly logger: Logger;
}

const MAX_LOG_BYTES = 10 * 1024 * 1024;
const LOG_TAIL_BYTES = 2048;
/** Below the state: the tasks of the namespace that the CRI uses. */
const TASKS = "io.containerd.runtime.v2.task/k8s.io";
const STOP_PATIENCE_MS = 10_000;
const STOP_POLL_MS = 20;
/** Bit 24 of a capability mask: CAP_SYS_RESOURCE. */
const CAP_SYS_RESOURCE = 1n << 24n;
/** What the way to registries may need; nothing else of our environment reaches containerd. */
const PASSED_ON = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];

/**
 * The process of a containerd that is ours: in a session of its own, so that it outlives us, and
 * known again by the pid and start time in `containerd.json`.
 */
export class OwnContainerd {
  readonly #options: OwnContainerdOptions;
  #identity: ProcessIdentity | undefined;

  constructor(options: OwnContainerdOptions) {
    this.#options = options;
    this.#identity = readRecord(this.#recordPath);
  }

  /** Somebody started one here before, so there may be pods. */
  get wasUsed(): boolean {
    return existsSync(this.#recordPath);
  }

  get isAlive(): boolean {
    return this.#identity !== undefined && this.#options.processes.isAlive(this.#identity);
  }

  get pid(): number | undefined {
    return this.isAlive ? this.#identity?.pid : undefined;
  }

  /**
   * Runs it as it should be: one that has another configuration, as an earlier version wrote it,
   * is replaced; its pods do not notice. Resolves once the process exists.
   */
  async run(): Promise<void> {
    const config = this.#config();
    if (this.isAlive) {
      if (readIfThere(this.#configPath) === config) return;
      this.#options.logger.info("containerd is restarted with another configuration");
      await this.stop();
    }
    const { directory, places, tools } = this.#options;
    for (const path of [directory, places.root, places.state, places.runcRoot]) {
      mkdirSync(path, { recursive: true, mode: 0o711 });
    }
    writeFileSync(this.#configPath, config, { mode: 0o600 });
    this.#identity = this.#spawn(tools());
    writeFileSync(`${this.#recordPath}.new`, JSON.stringify(this.#identity));
    renameSync(`${this.#recordPath}.new`, this.#recordPath);
    this.#options.logger.info("containerd was started", { ...this.#identity });
  }

  /** Ends the process, not the pods. */
  async stop(): Promise<void> {
    const identity = this.#identity;
    const { processes, clock } = this.#options;
    if (identity === undefined) return;
    processes.kill(identity, "SIGTERM");
    const deadline = clock.monotonic() + STOP_PATIENCE_MS;
    while (processes.isAlive(identity)) {
      if (clock.monotonic() > deadline) processes.kill(identity, "SIGKILL");
      await sleep(clock, STOP_POLL_MS);
    }
  }

  /** Whether any program of a pod runs: each has a directory as long as it does. */
  get hasTasks(): boolean {
    const tasks = join(this.#options.places.state, TASKS);
    return existsSync(tasks) && readdirSync(tasks).length > 0;
  }

  /** Nothing runs: it ends by itself. `forgotten`: nor has the next start to find anything. */
  end({ forgotten }: { readonly forgotten: boolean }): void {
    if (this.#identity !== undefined) this.#options.processes.kill(this.#identity, "SIGTERM");
    if (forgotten) rmSync(this.#recordPath, { force: true });
  }

  /** The last it said, for who has to explain why it does not answer. */
  get lastWords(): string {
    const log = readIfThere(this.#logPath)?.trim() ?? "";
    return log.slice(-LOG_TAIL_BYTES).split("\n").slice(-3).join("\n");
  }

  get #recordPath(): string {
    return join(this.#options.directory, "containerd.json");
  }

  get #configPath(): string {
    return join(this.#options.directory, "config.toml");
  }

  get #logPath(): string {
    return join(this.#options.directory, "containerd.log");
  }

  #config(): string {
    const { places, tools } = this.#options;
    const mayLowerOomScore = (effectiveCapabilities() & CAP_SYS_RESOURCE) !== 0n;
    return containerdConfig({ places, runc: tools().runc, mayLowerOomScore });
  }

  #spawn(tools: ContainerTools): ProcessIdentity {
    if ((statSync(this.#logPath, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) {
      renameSync(this.#logPath, `${this.#logPath}.1`);
    }
    const log = openSync(this.#logPath, "a", 0o600);
    const passedOn = PASSED_ON.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    try {
      const child = spawn(tools.containerd, ["--config", this.#configPath], {
        cwd: "/",
        env: { ...Object.fromEntries(passedOn), PATH: tools.path },
        detached: true,
        stdio: ["ignore", log, log],
      });
      child.on("error", (error) => {
        this.#options.logger.error("containerd cannot be started", { error });
      });
      child.unref();
      const identity = child.pid === undefined ? undefined : this.#identify(child.pid);
      if (identity !== undefined) return identity;
    } finally {
      closeSync(log);
    }
    throw new RuntimeError("start-failed", `${tools.containerd} ended at once: ${this.lastWords}`);
  }

  #identify(pid: number): ProcessIdentity | undefined {
    return this.#options.processes.identify(pid);
  }
}

function readRecord(path: string): ProcessIdentity | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const { pid, startTime }: Partial<ProcessIdentity> = Object(JSON.parse(text));
    if (typeof pid === "number" && typeof startTime === "string") return { pid, startTime };
  } catch {
    // Written whole or not at all; what is no JSON was not written by us, and names no process.
  }
  return undefined;
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function effectiveCapabilities(): bigint {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readIfThere("/proc/self/status") ?? "");
  return BigInt(`0x${line?.[1] ?? "0"}`);
}
