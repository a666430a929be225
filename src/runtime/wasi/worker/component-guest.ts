import type { HostClock } from "../host/host-clock.ts";
import { INSTANCE_REUSE_ANNOTATION } from "../component/pod-grants.ts";
import { createPreviewTwo } from "../preview2/create-preview-two.ts";
import type { PreviewTwo, PreviewTwoOptions } from "../preview2/preview-two.ts";
import {
  EXIT_CANNOT_RUN,
  EXIT_OUT_OF_MEMORY,
  type FacadeStatus,
  type WorkerComponent,
  type WorkerSpec,
} from "../worker-protocol.ts";
import { BlockedLoopWatch } from "./blocked-loop-watch.ts";
import { logStream } from "./command-guest.ts";
import { type ComponentCode, limitText } from "./component-code.ts";
import { ComponentPool, type PooledInstance } from "./component-pool.ts";
import { ComponentRequest, DeadlinePassed } from "./component-request.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace } from "./guest-end.ts";
import { accessLine } from "./http-front/access-line.ts";
import type { FrontExchange } from "./http-front/front-exchange.ts";
import { HttpFront } from "./http-front/http-front.ts";
import { listenOnPorts } from "./http-front/listen-on-ports.ts";

/** Looks that prove, within one deadline, that the event loop still runs. */
const BEATS_PER_DEADLINE = 4;
const ACCESS_LOG_STREAM = "stdout";
/** The status of who found too many waiting, which is no answer of the guest. */
const TOO_MANY_WAIT = 503;
/** Requests that end for want of memory before any was answered: the limit is too low for all. */
export const MAX_MEMORY_FAILURES = 8;
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
  readonly #front: HttpFront;
  #requests = 0;
  /** Of them, those whose connection was upgraded: nobody waits for an answer. */
  #tunnels = 0;
  /** Requests that ended for want of memory; undefined once any was answered by the guest. */
  #memoryFailures: number | undefined = 0;
  readonly #end = Promise.withResolvers<GuestEnd>();
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
    this.#front = new HttpFront({
      clock,
      handle: (exchange) => this.#handle(exchange),
      onError: (error) => log.note(`the HTTP front failed: ${backtrace(error)}`),
    });
  }

  get connections(): number {
    return this.#requests;
  }

  get owesAnswer(): boolean {
    return this.#requests > this.#tunnels;
  }

  get activity(): number {
    return this.#moves;
  }

  get memoryBytes(): number {
    return this.#pool.memoryBytes;
  }

  listen(): FacadeStatus[] {
    return listenOnPorts(this.#front, this.#spec);
  }

  drain(): void {
    this.#front.drain();
  }

  close(): void {
    this.#front.close();
  }

  /** Ends by itself only when the component cannot be instantiated, or its memory serves nobody. */
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
    return this.#end.promise;
  }

  #handle(exchange: FrontExchange): void {
    const { accessLog, requestTimeoutMs } = this.#component;
    const startNs = accessLog ? this.#clock.monotonicNs() : 0n;
    let tunnels = 0;
    let failed = false;
    this.#requests++;
    this.#watch.enter();
    this.#beat();
    const request = new ComponentRequest(exchange, {
      pool: this.#pool,
      clock: this.#clock,
      timeoutMs: requestTimeoutMs,
      entry: this.#code.manifest.entry,
      onMove: () => {
        this.#moves++;
      },
      onFailure: (reason, instance) => {
        failed = true;
        this.#noteFailure(exchange, reason, instance);
      },
      onFreshOnly: () => this.#log.note(FRESH_ONLY_NOTE),
      onAnswer: (status) => {
        if (!failed && status !== TOO_MANY_WAIT) this.#memoryFailures = undefined;
        if (status === 101) tunnels = 1;
        this.#tunnels += tunnels;
        if (accessLog) this.#logAnswer(exchange, status, startNs);
      },
      onOver: () => {
        this.#requests--;
        this.#tunnels -= tunnels;
        this.#moves++;
        this.#watch.leave();
      },
    });
    request.start();
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

  #logAnswer(exchange: FrontExchange, status: number, startNs: bigint): void {
    const tookNs = this.#clock.monotonicNs() - startNs;
    this.#log.writeOrLose(ACCESS_LOG_STREAM, accessLine(exchange, { status, tookNs }));
  }

  #noteFailure(
    { method, target }: FrontExchange,
    reason: unknown,
    instance: PooledInstance | undefined,
  ): void {
    const path = target.replace(/\?.*$/s, "");
    const exhausted = instance?.instance.refusedGrowth === true;
    const why = exhausted
      ? `the guest was refused memory beyond its ${limitText(this.#code.maximumPages)}: `
      : "";
    const words = isOurs(reason) ? messageOf(reason) : backtrace(reason);
    this.#log.note(`${method} ${path}: ${why}${words}`);
    if (exhausted) this.#countMemoryFailure();
  }

  /**
   * One greedy request costs its instance only. But a limit that is too low for every request has
   * to be seen in the container's status, not only in its log.
   */
  #countMemoryFailure(): void {
    if (this.#memoryFailures === undefined) return;
    if (++this.#memoryFailures < MAX_MEMORY_FAILURES) return;
    const limit = limitText(this.#code.maximumPages);
    const first = `the first ${MAX_MEMORY_FAILURES} requests`;
    const message = `${first} all wanted more memory than ${limit}`;
    this.#end.resolve({ exitCode: EXIT_OUT_OF_MEMORY, reason: "OOMKilled", message });
  }
}

/** The host of a component's container, with its log, directories and grants. */
export function previewTwo(
  spec: WorkerSpec & { readonly component: WorkerComponent },
  log: CriLog,
  clock: HostClock,
  options: Pick<PreviewTwoOptions, "listeners"> = {},
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
    ...(component.keyvaluePath === undefined ? {} : { keyvaluePath: component.keyvaluePath }),
    ...options,
    note: (line) => log.note(line),
  });
}

function isOurs(reason: unknown): boolean {
  return reason instanceof DeadlinePassed || !(reason instanceof WebAssembly.RuntimeError);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
