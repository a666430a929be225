import { constants, openSync } from "node:fs";
import { ConnectionBudget } from "./connection.ts";
import { DescriptorTable, fullDescriptor } from "./descriptor-table.ts";
import { ERRNO, errnoOf } from "./errno.ts";
import { fdFunctions } from "./fd-functions.ts";
import { GuestMemory, guestString } from "./guest-memory.ts";
import { type GuestLimits, SOLE_GUEST_LIMITS } from "./guest-limits.ts";
import type { HostClock } from "./host-clock.ts";
import type { HostState } from "./host-state.ts";
import { Listener } from "./listener.ts";
import { DirectoryListings, OpenDirectory } from "./open-directory.ts";
import { pathFunctions } from "./path-functions.ts";
import { pollFunctions } from "./poll-functions.ts";
import { processFunctions } from "./process-functions.ts";
import { streamFunctions } from "./stream-functions.ts";
import type { InputStream, OutputStream } from "./streams.ts";
import { jspi, waitingImports, type GuestFunction } from "./waiting-calls.ts";
import { type GuestTurn, Wakeup } from "./wakeup.ts";

/** What a guest finds when it starts. */
export interface WasiHostOptions {
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Become descriptors 3 and following, before the directories. */
  readonly ports: readonly number[];
  readonly preopens: readonly {
    readonly guestPath: string;
    readonly hostPath: string;
    readonly readOnly: boolean;
  }[];
  readonly clock: HostClock;
  /** Absent for a guest that has its process for itself. */
  readonly limits?: GuestLimits;
  readonly turn?: GuestTurn;
}

/** The module name guests import preview 1 from. */
export const PREVIEW1 = "wasi_snapshot_preview1";

/**
 * WASI preview 1 for one guest: the import object and what stands behind it. A host serves one
 * instance and is closed after it.
 */
export class WasiHost {
  readonly listeners: readonly Listener[];
  readonly connections: ConnectionBudget;
  readonly #state: HostState;
  readonly #turn: GuestTurn | undefined;

  /** Opens the preopened directories; throws what the system says when one is missing. */
  constructor(options: WasiHostOptions) {
    const limits = options.limits ?? SOLE_GUEST_LIMITS;
    const wakeup = new Wakeup(options.clock, options.turn);
    const descriptors = new DescriptorTable(limits.descriptors);
    this.connections = new ConnectionBudget(limits);
    this.#turn = options.turn;
    this.#state = {
      memory: new GuestMemory(),
      descriptors,
      clock: options.clock,
      wakeup,
      args: options.args.map(guestString),
      env: options.env.map(([name, value]) => guestString(`${name}=${value}`)),
    };
    descriptors.insert(fullDescriptor(options.stdin));
    descriptors.insert(fullDescriptor(options.stdout));
    descriptors.insert(fullDescriptor(options.stderr));
    this.listeners = options.ports.map((port) => new Listener(port, wakeup, this.connections));
    for (const listener of this.listeners) {
      const name = guestString(`:${listener.port}`);
      descriptors.insert({ ...fullDescriptor(listener), preopen: { name } });
    }
    const listings = new DirectoryListings();
    for (const { guestPath, hostPath, readOnly } of options.preopens) {
      const directory = new OpenDirectory(openDirectory(hostPath), { readOnly, listings });
      descriptors.insert({
        ...fullDescriptor(directory),
        preopen: { name: guestString(guestPath) },
      });
    }
  }

  /** The functions for a module's imports, by module name. */
  imports(): Record<string, Record<string, WebAssembly.ImportValue>> {
    const state = this.#state;
    const functions = allGuarded({
      ...processFunctions(state),
      ...fdFunctions(state),
      ...pathFunctions(state),
      ...streamFunctions(state),
      ...pollFunctions(state),
    });
    const [turn, { wakeup }] = [this.#turn, state];
    const share = (answer: number): number | Promise<number> =>
      turn?.overdue ? wakeup.turn().then(() => answer) : answer;
    const waiting = waitingImports(functions, turn && share);
    return { [PREVIEW1]: { ...functions, ...waiting } };
  }

  /**
   * Runs `_start` to its end. Rejects with ProcExit when the guest exits, and with what the engine
   * throws when it traps.
   */
  async run(instance: WebAssembly.Instance): Promise<void> {
    const { memory, _start: start } = instance.exports;
    if (memory instanceof WebAssembly.Memory) this.#state.memory.attach(memory);
    if (start === undefined) throw new Error("the module exports no _start function");
    this.#turn?.enter();
    try {
      await jspi.promising(start)();
    } finally {
      this.#turn?.leave();
    }
  }

  /** Ends a guest that waits, now or when it waits next; {@link run} rejects with the reason. */
  abort(reason: Error): void {
    this.#state.wakeup.abort(reason);
  }

  /** Bytes of the guest's linear memory. */
  get memoryBytes(): number {
    return this.#state.memory.size;
  }

  close(): void {
    this.#state.descriptors.closeAll();
    for (const connection of this.connections.open) connection.close();
  }
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

function allGuarded(
  functions: Readonly<Record<string, GuestFunction>>,
): Record<string, GuestFunction> {
  return Object.fromEntries(Object.entries(functions).map(([name, fn]) => [name, guarded(fn)]));
}

/** Turns what a function throws into its error number; what has none ends the guest. */
function guarded(fn: GuestFunction): GuestFunction {
  return (...args) => {
    try {
      const answer = fn(...args);
      return typeof answer === "number" ? answer : answer.catch(toErrno);
    } catch (error) {
      return toErrno(error);
    }
  };
}

function toErrno(error: unknown): number {
  // DataView and typed arrays say RangeError for an address outside of memory, and the engine for
  // a stack that ended while the host was called: that one is the guest's trap.
  if (error instanceof RangeError && !error.message.includes("call stack")) return ERRNO.fault;
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return errno;
}
