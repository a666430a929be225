import type { HostClock } from "../host/host-clock.ts";
import { ProcExit } from "../host/errno.ts";
import { bytesInput } from "../host/streams.ts";
import { WasiHost } from "../host/wasi-host.ts";
import type { FacadeStatus, WorkerSpec } from "../worker-protocol.ts";
import { BlockedLoopWatch } from "./blocked-loop-watch.ts";
import { cgiArguments, cgiEnvironment, type CgiConnection } from "./cgi-environment.ts";
import { CgiError, CgiResponse, STREAM_AFTER_MS } from "./cgi-response.ts";
import { logStream } from "./command-guest.ts";
import type { CompiledModule } from "./compile-module.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace } from "./guest-end.ts";
import { accessLine } from "./http-front/access-line.ts";
import type { Answer } from "./http-front/answer.ts";
import type { FrontExchange } from "./http-front/front-exchange.ts";
import { HttpFront } from "./http-front/http-front.ts";
import { listenOnPorts } from "./http-front/listen-on-ports.ts";
import { MemoryPool, POOL_MODULE } from "./memory-pool.ts";
import { bodyOf, BodyTooLarge } from "./request-body.ts";
import { Slots } from "./slots.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_CONCURRENCY = 64;
const DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024;
const LOOPBACK = "127.0.0.1";
const PLAIN_TEXT = Buffer.from("text/plain");
/** Requests that wait for a free instance; one more is answered 503. */
export const MAX_WAITING = 1024;

/** The `wagi` style: compiled once, the module runs anew, as a CGI program, for each request. */
export class WagiGuest implements Guest {
  readonly #spec: WorkerSpec;
  readonly #compiled: CompiledModule;
  readonly #log: CriLog;
  readonly #clock: HostClock;
  readonly #slots: Slots;
  readonly #maxBodyBytes: number;
  readonly #timeoutMs: number;
  readonly #hosts = new Set<WasiHost>();
  readonly #watch = new BlockedLoopWatch();
  readonly #memories: MemoryPool | undefined;
  readonly #front: HttpFront;
  #requests = 0;

  constructor(spec: WorkerSpec, compiled: CompiledModule, log: CriLog, clock: HostClock) {
    this.#spec = spec;
    this.#compiled = compiled;
    this.#log = log;
    this.#clock = clock;
    this.#slots = new Slots(spec.wagi?.concurrency ?? DEFAULT_CONCURRENCY, MAX_WAITING);
    this.#memories = compiled.memory && new MemoryPool(compiled.memory);
    this.#maxBodyBytes = spec.wagi?.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    this.#timeoutMs = spec.wagi?.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS;
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
    return this.#requests > 0;
  }

  /** The front under it closes kept connections by itself, so that only requests count. */
  get activity(): number {
    return 0;
  }

  get memoryBytes(): number {
    let sum = 0;
    for (const host of this.#hosts) sum += host.memoryBytes;
    return sum;
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

  /** Never ends by itself: requests come and go. */
  run(): Promise<GuestEnd> {
    this.#watch.start(this.#spec, this.#timeoutMs);
    return new Promise(() => undefined);
  }

  #handle(exchange: FrontExchange): void {
    const startNs = this.#clock.monotonicNs();
    const answer = (made: Answer) => this.#answer(exchange, made, startNs);
    const slot = this.#slots.take();
    if (slot === undefined) {
      exchange.body?.close();
      return answer(refusal(503, "too many requests wait for this pod"));
    }
    this.#requests++;
    void slot.then(() => {
      if (!exchange.over) return this.#run(exchange, answer);
      // The client went away while it waited.
      this.#requests--;
      this.#slots.give();
    });
  }

  /** Runs one instance; its slot is given back when it ended, which may be after the answer. */
  #run(exchange: FrontExchange, answer: (made: Answer) => void): void {
    const instance = new AbortController();
    const gone = () => giveUp(new CgiError("the client went away"));
    const output = new CgiResponse(gone);
    const giveUp = (error: CgiError) => {
      output.fail(error);
      instance.abort(error);
    };
    const deadline = this.#clock.after(this.#timeoutMs, () => {
      giveUp(new DeadlineError(`gave up after ${this.#timeoutMs} ms`));
      if (exchange.answered) exchange.cut();
    });
    const streaming = this.#clock.after(STREAM_AFTER_MS, () => output.stream());
    const answered = Promise.withResolvers<void>();
    exchange.user = { moved: () => undefined, gone, done: () => answered.resolve() };
    output.response.then(answer, (error: unknown) => {
      if (!exchange.over) answer(this.#refusalFor(exchange, error));
    });
    const ended = this.#instance(exchange, output, instance.signal)
      .catch((error: unknown) => {
        output.fail(error instanceof CgiError ? error : new CgiError(backtrace(error)));
      })
      .finally(() => {
        exchange.body?.close();
        // Only the client is waited for, as long as it takes what there is.
        for (const cancel of [deadline, streaming]) cancel();
        this.#slots.give();
      });
    void Promise.all([ended, answered.promise]).then(() => this.#requests--);
  }

  #refusalFor(exchange: FrontExchange, error: unknown): Answer {
    if (error instanceof BodyTooLarge) return refusal(413, error.message);
    const path = exchange.target.replace(/\?.*$/s, "");
    const message = error instanceof Error ? error.message : String(error);
    this.#log.note(`${exchange.method} ${path}: ${message}`);
    if (error instanceof DeadlineError) return refusal(504, "the request took too long");
    return refusal(500, "the guest failed");
  }

  #answer(exchange: FrontExchange, answer: Answer, startNs: bigint): void {
    if (this.#spec.wagi?.accessLog === true) {
      const tookNs = this.#clock.monotonicNs() - startNs;
      this.#log.writeOrLose("stdout", accessLine(exchange, { status: answer.status, tookNs }));
    }
    exchange.answer(answer);
  }

  #connection({ port, remoteAddress }: FrontExchange): CgiConnection {
    const address = this.#spec.ports.find((one) => one.port === port)?.address;
    return {
      remoteAddress: remoteAddress === "" ? LOOPBACK : remoteAddress,
      serverName: address ?? "localhost",
      serverPort: port,
    };
  }

  async #instance(
    exchange: FrontExchange,
    output: CgiResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const spec = this.#spec;
    // A client that is slow to send its body must not keep the slot beyond the deadline.
    const body = await bodyOf(exchange, { maxBytes: this.#maxBodyBytes, signal });
    if (body === undefined) return;
    const host = new WasiHost({
      args: [...(spec.args.length > 0 ? spec.args : ["main.wasm"]), ...cgiArguments(exchange)],
      env: [...spec.env, ...cgiEnvironment(exchange, this.#connection(exchange), body.length)],
      stdin: bytesInput(body),
      stdout: output,
      stderr: logStream(this.#log, "stderr"),
      ports: [],
      preopens: spec.preopens,
      clock: this.#clock,
    });
    this.#hosts.add(host);
    signal.addEventListener("abort", () => host.abort(signal.reason as CgiError));
    const memory = this.#memories?.take();
    const imports = { ...host.imports(), ...(memory && { [POOL_MODULE]: { memory } }) };
    this.#watch.enter();
    try {
      await host.run(new WebAssembly.Instance(this.#compiled.module, imports));
      output.end();
    } catch (error) {
      if (!(error instanceof ProcExit)) throw error;
      if (error.code !== 0) throw new CgiError(`the guest exited with code ${error.code}`);
      output.end();
    } finally {
      this.#watch.leave();
      this.#hosts.delete(host);
      host.close();
      if (memory !== undefined) this.#memories?.give(memory);
    }
  }
}

class DeadlineError extends CgiError {}

function refusal(status: number, text: string): Answer {
  return { status, headers: [["content-type", PLAIN_TEXT]], body: Buffer.from(`${text}\n`) };
}
