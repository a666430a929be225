import { rmSync } from "node:fs";
import type { HostClock } from "../host/host-clock.ts";
import { INSTANCE_REUSE_ANNOTATION } from "../component/pod-grants.ts";
import { createPreviewTwo } from "../preview2/create-preview-two.ts";
import type { PreviewTwo } from "../preview2/preview-two.ts";
import {
  EXIT_CANNOT_RUN,
  type FacadeStatus,
  type WorkerComponent,
  type WorkerPort,
  type WorkerSpec,
} from "../worker-protocol.ts";
import { BlockedLoopWatch } from "./blocked-loop-watch.ts";
import { facadeStatus, logStream } from "./command-guest.ts";
import { type ComponentCode, limitText } from "./component-code.ts";
import { pathOf } from "./component-messages.ts";
import { ComponentPool, type PooledInstance } from "./component-pool.ts";
import { ComponentRequest, DeadlinePassed } from "./component-request.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace } from "./guest-end.ts";

/** Looks that prove, within one deadline, that the event loop still runs. */
const BEATS_PER_DEADLINE = 4;
const ACCESS_LOG_STREAM = "stdout";
const FRESH_ONLY_NOTE =
  "an instance of this component fails at its second request: from now on each request has one " +
  `of its own (annotation ${INSTANCE_REUSE_ANNOTATION}: "false" says so from the start)`;

/** The style `component` for wasi:http: an HTTP server before a pool of instances. */
export class ComponentGuest implements Guest {
  readonly #spec: WorkerSpec;
  readonly #component: WorkerComponent;
  readonly #code: ComponentCode;
  readonly #log: CriLog;
  readonly #clock: HostClock;
  readonly #pool: ComponentPool;
  readonly #watch = new BlockedLoopWatch();
  #requests = 0;
  #moves = 0;
  #beating = false;
  #starting = false;

  constructor(
    spec: WorkerSpec & { readonly component: WorkerComponent },
    code: ComponentCode,
    log: CriLog,
    clock: HostClock,
  ) {
    this.#spec = spec;
    this.#component = spec.component;
    this.#code = code;
    this.#log = log;
    this.#clock = clock;
    this.#pool = new ComponentPool({
      code,
      host: previewTwo(spec, log, clock),
      clock,
      instances: spec.component.instances,
      memoryLimitBytes: spec.memoryLimitBytes,
      freshInstances: spec.component.freshInstances,
    });
  }

  get connections(): number {
    return this.#requests;
  }

  get owesAnswer(): boolean {
    return this.#requests > 0;
  }

  get activity(): number {
    return this.#moves;
  }

  get memoryBytes(): number {
    return this.#pool.memoryBytes;
  }

  listen(): FacadeStatus[] {
    return this.#spec.ports.flatMap((port) => {
      rmSync(port.unixPath, { force: true });
      this.#serve({ unix: port.unixPath });
      const { address } = port;
      if (address === undefined) return [];
      return [facadeStatus(port.port, () => this.#serveTcp(port, address))];
    });
  }

  /** Ends by itself only when the component cannot be instantiated even once. */
  async run(): Promise<GuestEnd> {
    this.#watch.start(this.#spec, this.#component.requestTimeoutMs);
    // Its start functions compute as well, and no request could tell.
    this.#starting = true;
    this.#watch.enter();
    this.#beat();
    try {
      await this.#pool.warm();
    } catch (error) {
      this.#log.note(backtrace(error));
      const message = `the component cannot be instantiated: ${messageOf(error)}`;
      return { exitCode: EXIT_CANNOT_RUN, reason: "ContainerCannotRun", message };
    } finally {
      this.#starting = false;
      this.#watch.leave();
    }
    return new Promise(() => undefined);
  }

  #serveTcp({ port }: WorkerPort, hostname: string): void {
    this.#serve({ hostname, port });
  }

  #serve(
    at: { readonly unix: string } | { readonly hostname: string; readonly port: number },
  ): void {
    Bun.serve({
      ...at,
      // A guest reads a body as it comes, however long it is: nothing is held for it.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      ...("unix" in at ? {} : { idleTimeout: 0 }),
      fetch: (request: Request) => this.#handle(request),
      // What went wrong stands in the container's log already.
      error: () => new Response(null, { status: 500 }),
    } as Parameters<typeof Bun.serve>[0]);
  }

  #handle(request: Request): Promise<Response> {
    const startNs = this.#clock.monotonicNs();
    this.#requests++;
    this.#watch.enter();
    this.#beat();
    const served = new ComponentRequest(request, {
      pool: this.#pool,
      clock: this.#clock,
      timeoutMs: this.#component.requestTimeoutMs,
      entry: this.#code.manifest.entry,
      onMove: () => {
        this.#moves++;
      },
      onFailure: (reason, instance) => this.#noteFailure(request, reason, instance),
      onFreshOnly: () => this.#log.note(FRESH_ONLY_NOTE),
    });
    void served.over.then(() => {
      this.#requests--;
      this.#moves++;
      this.#watch.leave();
    });
    return this.#component.accessLog ? this.#logged(request, served, startNs) : served.response;
  }

  /** While requests wait, possibly for long, this tells the watching thread that the loop runs. */
  #beat(): void {
    if (this.#beating) return;
    this.#beating = true;
    const intervalMs = this.#component.requestTimeoutMs / BEATS_PER_DEADLINE;
    this.#clock.after(intervalMs, () => {
      this.#beating = false;
      this.#watch.beat();
      if (this.#requests > 0 || this.#starting) this.#beat();
    });
  }

  async #logged(request: Request, served: ComponentRequest, startNs: bigint): Promise<Response> {
    const response = await served.response;
    const tookMs = Number(this.#clock.monotonicNs() - startNs) / 1e6;
    const id = request.headers.get("x-request-id") ?? "-";
    const { method, url } = request;
    const line = `${method} ${pathOf(url)} ${response.status} ${tookMs.toFixed(1)}ms ${id}\n`;
    this.#log.write(ACCESS_LOG_STREAM, Buffer.from(line));
    return response;
  }

  #noteFailure(request: Request, reason: unknown, instance: PooledInstance | undefined): void {
    const path = pathOf(request.url).replace(/\?.*$/s, "");
    const exhausted = instance?.instance.refusedGrowth === true;
    const why = exhausted
      ? `the guest was refused memory beyond its ${limitText(this.#code.maximumPages)}: `
      : "";
    const words = isOurs(reason) ? messageOf(reason) : backtrace(reason);
    this.#log.note(`${request.method} ${path}: ${why}${words}`);
  }
}

/** The host of a component's container, with its log, directories and grants. */
export function previewTwo(
  spec: WorkerSpec & { readonly component: WorkerComponent },
  log: CriLog,
  clock: HostClock,
): PreviewTwo {
  const { args, env, preopens, component } = spec;
  return createPreviewTwo({
    args: args.length > 0 ? args : ["main.wasm"],
    env,
    preopens,
    stdout: logStream(log, "stdout"),
    stderr: logStream(log, "stderr"),
    clock,
    grants: component.grants,
    ...(component.egressPath === undefined ? {} : { egressPath: component.egressPath }),
    note: (line) => log.note(line),
  });
}

function isOurs(reason: unknown): boolean {
  return reason instanceof DeadlinePassed || !(reason instanceof WebAssembly.RuntimeError);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
