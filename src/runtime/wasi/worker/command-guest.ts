import { readFileSync, rmSync } from "node:fs";
import type { HostClock } from "../host/host-clock.ts";
import { emptyInput, type OutputStream } from "../host/streams.ts";
import { WasiHost, type WasiHostOptions } from "../host/wasi-host.ts";
import { EXIT_TRAP, type FacadeStatus, type WorkerSpec } from "../worker-protocol.ts";
import type { CompiledModule } from "./compile-module.ts";
import type { CriLog, LogStream } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace, guestEnd, refusedGrowth, type OffsetOf } from "./guest-end.ts";
import { functionOffsets } from "./import-section.ts";
import { ProcExit } from "../host/errno.ts";

/** The `command` style: `_start` runs once and accepts on its sockets itself. */
export class CommandGuest implements Guest {
  readonly #spec: WorkerSpec;
  readonly #compiled: CompiledModule;
  readonly #log: CriLog;
  readonly #host: WasiHost;

  /** `seat` is for a guest that shares its process. */
  constructor(
    spec: WorkerSpec,
    compiled: CompiledModule,
    log: CriLog,
    clock: HostClock,
    seat: Pick<WasiHostOptions, "limits" | "turn"> = {},
  ) {
    this.#spec = spec;
    this.#compiled = compiled;
    this.#log = log;
    const { ports } = spec;
    this.#host = new WasiHost({
      args: spec.args.length > 0 ? spec.args : ["main.wasm"],
      env: [...spec.env, ...listenEnvironment(spec)],
      stdin: emptyInput,
      stdout: logStream(log, "stdout"),
      stderr: logStream(log, "stderr"),
      ports: ports.map(({ port }) => port),
      preopens: spec.preopens,
      clock,
      ...seat,
    });
  }

  get connections(): number {
    return this.#host.connections.open.size;
  }

  get owesAnswer(): boolean {
    return this.#host.connections.owesAnswer;
  }

  get activity(): number {
    return this.#host.connections.activity;
  }

  get memoryBytes(): number {
    return this.#host.memoryBytes;
  }

  listen(): FacadeStatus[] {
    return this.#spec.ports.flatMap(({ port, unixPath, address }, index) => {
      const listener = this.#host.listeners[index];
      if (listener === undefined) return [];
      rmSync(unixPath, { force: true });
      listener.listenUnix(unixPath);
      return address === undefined ? [] : [facadeStatus(port, () => listener.listenTcp(address))];
    });
  }

  async run(): Promise<GuestEnd> {
    let instance: WebAssembly.Instance | undefined;
    try {
      instance = new WebAssembly.Instance(this.#compiled.module, this.#host.imports());
      await this.#host.run(instance);
      return { exitCode: 0, reason: "Completed", message: "" };
    } catch (thrown) {
      const { maximumPages } = this.#compiled;
      const offsetOf = thrown instanceof ProcExit ? () => undefined : this.#offsets();
      const end = guestEnd(thrown, {
        memoryBytes: this.memoryBytes,
        maximumPages,
        refusedGrowth: refusedGrowth(instance),
        offsetOf,
      });
      if (!(thrown instanceof ProcExit)) this.#log.note(backtrace(thrown, offsetOf));
      else if (end.exitCode !== EXIT_TRAP && end.message !== "") this.#log.note(end.message);
      return end;
    }
  }

  abort(reason: Error): void {
    this.#host.abort(reason);
  }

  close(): void {
    this.#host.close();
  }

  /** Read again from the image: to keep the module's bytes for a trap would cost every pod. */
  #offsets(): OffsetOf {
    try {
      return functionOffsets(readFileSync(this.#spec.modulePath));
    } catch (error) {
      if (error instanceof Error) return () => undefined;
      throw error;
    }
  }
}

/** Tries to bind a facade; a port that is taken or privileged is told, not fatal. */
export function facadeStatus(port: number, bind: () => void): FacadeStatus {
  try {
    bind();
    return { port, bound: true };
  } catch (error) {
    return { port, bound: false, error: error instanceof Error ? error.message : String(error) };
  }
}

export function logStream(log: CriLog, stream: LogStream): OutputStream {
  return { kind: "output", lineBuffered: true, write: (bytes) => log.write(stream, bytes) };
}

/** The convention of systemd's socket activation, which guests know their sockets by. */
function listenEnvironment(spec: WorkerSpec): (readonly [string, string])[] {
  if (spec.ports.length === 0) return [];
  const names = spec.ports.map(({ port }) => `tcp-${port}`).join(":");
  return [
    ["LISTEN_FDS", String(spec.ports.length)],
    ["LISTEN_FDNAMES", names],
  ];
}
