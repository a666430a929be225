import type { CancelTimer, Clock, Logger } from "../../../lib/index.ts";
import { ControlConnection } from "../control-connection.ts";
import { type ProcessGroup, type ProcessLimits, sumResources } from "../limits/process-limits.ts";
import type { WarmPool } from "../warm-pool.ts";
import {
  controlPath,
  forgetWorker,
  type WorkerAddress,
  type WorkerPlaces,
  type WorkerProcess,
} from "../worker-process.ts";

export interface WorkerSeatsOptions {
  /** Processes for one container each. */
  readonly pool: Pick<WarmPool, "take">;
  /** Starts a process for several containers. */
  readonly launchShared: () => Promise<WorkerProcess>;
  readonly places: WorkerPlaces;
  readonly limits: ProcessLimits;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who takes a seat in a process that is shared. */
export interface SharingContainer {
  /** Containers of one trust domain share, others never meet; see {@link trustDomain}. */
  readonly domain: string;
  readonly capacity: number;
  /** Its own limits: those of the process are their sum. */
  readonly group: ProcessGroup;
}

/** How long a shared process without a container is kept for the next one. */
export const SHARED_IDLE_MS = 30_000;
/** Starts and ends that come this close together change the limits of their process once. */
const LIMITS_DELAY_MS = 100;

interface SharedProcess {
  readonly domain: string;
  readonly capacity: number;
  /** By container. */
  readonly seats: Map<string, ProcessGroup>;
  address: WorkerAddress | undefined;
  worker: Promise<WorkerProcess> | undefined;
  connection: ControlConnection | undefined;
  connecting: Promise<ControlConnection | undefined> | undefined;
  idle: CancelTimer | undefined;
  limiting: CancelTimer | undefined;
  discard: () => void;
}

/**
 * Which worker process a container runs in: one of its own, or a seat in one that containers of its
 * trust domain share. The first process of the domain with a free seat is taken, so that those
 * opened last empty first, and end.
 */
export class WorkerSeats {
  readonly #options: WorkerSeatsOptions;
  readonly #shared = new Set<SharedProcess>();

  constructor(options: WorkerSeatsOptions) {
    this.#options = options;
  }

  /** Processes that are shared, those being started included. */
  get sharedProcesses(): number {
    return this.#shared.size;
  }

  /** Errors: `start-failed`, `exhausted`. Each taken seat is given back by {@link leave}. */
  async take(containerId: string, sharing?: SharingContainer): Promise<WorkerProcess> {
    if (sharing === undefined) return this.#options.pool.take();
    const process = this.#freeProcess(sharing) ?? this.#launch(sharing);
    this.#sit(process, containerId, sharing.group);
    try {
      const worker = await process.worker;
      if (worker === undefined) throw new Error("the process was never started");
      this.#limit(process);
      return worker;
    } catch (error) {
      this.#unseat(process, containerId);
      throw error;
    }
  }

  /** Takes the seat again that the container had under a former server, if it shared one. */
  adopt(containerId: string, address: WorkerAddress, group: ProcessGroup): void {
    if (address.shared === undefined) return;
    const sharing: SharingContainer = { ...address.shared, group };
    let process = this.#processOf(address);
    if (process === undefined) {
      process = newProcess(sharing);
      process.address = address;
      this.#shared.add(process);
      const { limits } = this.#options;
      limits.adopt(address.identity, groupOf(address.id, [group]));
    }
    this.#sit(process, containerId, group);
    // The others are not known yet, and their limits are its limits too.
    this.#limit(process);
  }

  /** A connection to the worker; the containers of a shared one have it in common. */
  connect(address: WorkerAddress): Promise<ControlConnection | undefined> {
    const path = controlPath(this.#options.places, address.id);
    const connecting = () => ControlConnection.connect(path).catch(() => undefined);
    const process = this.#processOf(address);
    if (process === undefined) return connecting();
    const { connection } = process;
    if (connection !== undefined && !connection.isClosed) return Promise.resolve(connection);
    process.connecting ??= connecting().then((made) => {
      process.connecting = undefined;
      process.connection = made;
      if (made !== undefined) this.#connected(process, { ...address, connection: made });
      return made;
    });
    return process.connecting;
  }

  /** The container ended. What its worker left on disk goes when nobody is in it any more. */
  leave(containerId: string, address: WorkerAddress): void {
    const process = this.#processOf(address);
    if (process === undefined) return forgetWorker(this.#options.places, address.id);
    this.#unseat(process, containerId);
  }

  /** Lets go of all processes: those without a container end. */
  close(): void {
    for (const process of this.#shared) {
      process.idle?.();
      process.limiting?.();
      if (process.seats.size === 0) this.#end(process);
      else process.connection?.close();
    }
  }

  #processOf({ id, shared }: WorkerAddress): SharedProcess | undefined {
    if (shared === undefined) return undefined;
    for (const process of this.#shared) if (process.address?.id === id) return process;
    return undefined;
  }

  #freeProcess({ domain, capacity }: SharingContainer): SharedProcess | undefined {
    for (const process of this.#shared) {
      if (process.domain !== domain || process.capacity !== capacity) continue;
      const lost = process.worker === undefined || process.connection?.isClosed === true;
      if (!lost && process.seats.size < capacity) return process;
    }
    return undefined;
  }

  #launch(sharing: SharingContainer): SharedProcess {
    const process = newProcess(sharing);
    this.#shared.add(process);
    const { domain, capacity } = sharing;
    process.worker = this.#options.launchShared().then((launched) => {
      const worker: WorkerProcess = { ...launched, shared: { domain, capacity } };
      process.address = worker;
      process.connection = worker.connection;
      process.discard = () => worker.spawned?.discard();
      this.#connected(process, worker);
      return worker;
    });
    process.worker.catch(() => this.#shared.delete(process));
    return process;
  }

  #connected(process: SharedProcess, worker: WorkerProcess): void {
    process.worker = Promise.resolve(worker);
    void worker.connection.closed.then(() => this.#endIfEmpty(process));
  }

  #sit(process: SharedProcess, containerId: string, group: ProcessGroup): void {
    process.idle?.();
    process.idle = undefined;
    process.seats.set(containerId, group);
  }

  #unseat(process: SharedProcess, containerId: string): void {
    if (!process.seats.delete(containerId)) return;
    if (process.seats.size > 0) return this.#limit(process);
    if (process.connection === undefined || process.connection.isClosed) return this.#end(process);
    process.idle = this.#options.clock.after(SHARED_IDLE_MS, () => this.#endIfEmpty(process));
  }

  #endIfEmpty(process: SharedProcess): void {
    if (process.seats.size === 0 && this.#shared.has(process)) this.#end(process);
  }

  /** A worker that has no guest and no connection ends by itself. */
  #end(process: SharedProcess): void {
    this.#shared.delete(process);
    process.idle?.();
    process.limiting?.();
    process.discard();
    process.connection?.close();
    if (process.address === undefined) return;
    forgetWorker(this.#options.places, process.address.id);
    void this.#options.limits.remove(groupOf(process.address.id, []));
  }

  #limit(process: SharedProcess): void {
    process.limiting ??= this.#options.clock.after(LIMITS_DELAY_MS, () => {
      process.limiting = undefined;
      const { address } = process;
      if (address === undefined) return;
      const group = groupOf(address.id, [...process.seats.values()]);
      void this.#options.limits.place(address.identity, group);
    });
  }
}

function newProcess({ domain, capacity }: SharingContainer): SharedProcess {
  return {
    domain,
    capacity,
    seats: new Map(),
    address: undefined,
    worker: undefined,
    connection: undefined,
    connecting: undefined,
    idle: undefined,
    limiting: undefined,
    discard: () => undefined,
  };
}

/** A shared process is no pod's: it has a group of its own, as if it were one. */
function groupOf(workerId: string, guests: readonly ProcessGroup[]): ProcessGroup {
  const resources = sumResources(guests.map((guest) => guest.resources));
  return {
    qosClass: "Burstable",
    podUid: workerId,
    name: workerId,
    resources,
    podCpuRequestMillis: resources.cpuRequestMillis ?? 0,
  };
}
