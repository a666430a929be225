import { rmSync } from "node:fs";
import type { HostClock } from "../host/host-clock.ts";
import { ProcExit } from "../host/errno.ts";
import { bytesInput } from "../host/streams.ts";
import { WasiHost } from "../host/wasi-host.ts";
import type { FacadeStatus, WorkerPort, WorkerSpec } from "../worker-protocol.ts";
import { BlockedLoopWatch } from "./blocked-loop-watch.ts";
import { cgiArguments, cgiEnvironment, type CgiConnection } from "./cgi-environment.ts";
import { CgiError, CgiResponse, STREAM_AFTER_MS } from "./cgi-response.ts";
import { facadeStatus, logStream } from "./command-guest.ts";
import type { CompiledModule } from "./compile-module.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace } from "./guest-end.ts";
import { MemoryPool, POOL_MODULE } from "./memory-pool.ts";
import { Slots } from "./slots.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_CONCURRENCY = 64;
const DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024;
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
    return this.#spec.ports.flatMap((port) => {
      rmSync(port.unixPath, { force: true });
      this.#serve(port, { unix: port.unixPath });
      const { address } = port;
      if (address === undefined) return [];
      return [facadeStatus(port.port, () => this.#serve(port, { hostname: address }))];
    });
  }

  /** Never ends by itself: requests come and go. */
  run(): Promise<GuestEnd> {
    this.#watch.start(this.#spec, this.#timeoutMs);
    return new Promise(() => undefined);
  }

  #serve(port: WorkerPort, at: { readonly unix: string } | { readonly hostname: string }): void {
    const maxRequestBodySize = this.#maxBodyBytes;
    const serverName = port.address ?? "localhost";
    const connection = { serverName, serverPort: port.port, remoteAddress: "127.0.0.1" };
    if ("unix" in at) {
      Bun.serve({
        maxRequestBodySize,
        unix: at.unix,
        fetch: (request) => this.#handle(request, connection),
      });
      return;
    }
    Bun.serve({
      maxRequestBodySize,
      idleTimeout: 0,
      hostname: at.hostname,
      port: port.port,
      fetch: (request, server) => {
        const remoteAddress = server.requestIP(request)?.address ?? connection.remoteAddress;
        return this.#handle(request, { ...connection, remoteAddress });
      },
    });
  }

  async #handle(request: Request, connection: CgiConnection): Promise<Response> {
    const slot = this.#slots.take();
    if (slot === undefined) return refusal(503, "too many requests wait for this pod");
    this.#requests++;
    await slot;
    try {
      return await this.#run(request, connection);
    } catch (error) {
      if (error instanceof CgiError) {
        this.#log.note(`${request.method} ${new URL(request.url).pathname}: ${error.message}`);
        const late = error instanceof DeadlineError;
        return refusal(late ? 504 : 500, late ? "the request took too long" : "the guest failed");
      }
      throw error;
    }
  }

  /** Runs one instance; its slot is given back when it ended, which may be after the answer. */
  #run(request: Request, connection: CgiConnection): Promise<Response> {
    const instance = new AbortController();
    const output = new CgiResponse(() => giveUp(new CgiError("the client went away")));
    const giveUp = (error: CgiError) => {
      output.fail(error);
      instance.abort(error);
    };
    const deadline = this.#clock.after(this.#timeoutMs, () => {
      giveUp(new DeadlineError(`gave up after ${this.#timeoutMs} ms`));
    });
    request.signal.addEventListener("abort", () => giveUp(new CgiError("the client went away")));
    const streaming = this.#clock.after(STREAM_AFTER_MS, () => output.stream());
    void this.#instance(request, connection, output, instance.signal)
      .catch((error: unknown) => {
        output.fail(error instanceof CgiError ? error : new CgiError(backtrace(error)));
      })
      .finally(() => {
        deadline();
        streaming();
        this.#requests--;
        this.#slots.give();
      });
    return output.response;
  }

  async #instance(
    request: Request,
    connection: CgiConnection,
    output: CgiResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const spec = this.#spec;
    // A client that is slow to send its body must not keep the slot beyond the deadline.
    const received = await Promise.race([request.arrayBuffer(), abortOf(signal)]);
    if (received === undefined) return;
    const body = new Uint8Array(received);
    const host = new WasiHost({
      args: [...(spec.args.length > 0 ? spec.args : ["main.wasm"]), ...cgiArguments(request)],
      env: [...spec.env, ...cgiEnvironment(request, connection, body.length)],
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

function abortOf(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined));
  });
}

function refusal(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain" } });
}
