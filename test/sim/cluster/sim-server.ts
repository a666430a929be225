import { Buffer } from "node:buffer";
import {
  ADMINISTRATORS,
  createApiServer,
  createForwarding,
  tokenAuthenticator,
} from "../../../src/apiserver/index.ts";
import type { Forwarding } from "../../../src/apiserver/index.ts";
import { silentLogger } from "../../../src/lib/index.ts";
import type { Random } from "../../../src/lib/index.ts";
import { MemoryState } from "../../../src/mvcc/index.ts";
import { createRegistry } from "../../../src/registry/index.ts";
import type { Registry } from "../../../src/registry/index.ts";
import { openStore, openWitness } from "../../../src/store/index.ts";
import type { GroupStart, Member, Store, Witness } from "../../../src/store/index.ts";
import { diskFiles } from "../../../src/store/testing/disk-files.ts";
import type { Prng } from "../core/prng.ts";
import { ProcessClock } from "./process-clock.ts";
import { SimDisk } from "./sim-disk.ts";

import type { Endpoint, SimNetwork } from "./sim-network.ts";
import { settle } from "./timeline.ts";
import type { Timeline } from "./timeline.ts";

export const TOKEN = "the-administrators-token";
export const CLUSTER_ID = "simulated";
const DIRECTORY = "/data";
const TORN_WITHIN_MS = 200;
const SERVICE_CIDR = "127.43.0.0/24";
const NODE_PORTS = { from: 30_000, to: 30_099 };
/** Small, so that a short life rolls segments, checkpoints, forgets history and sends snapshots. */
const LIMITS = {
  segmentBytes: 8_192,
  housekeeper: {
    checkpointBytes: 64 * 1_024,
    historyMs: 6_000,
    windowMs: 2_000,
    retention: { maxEntries: 24, maxBytes: 32 * 1_024 },
  },
  pending: { entries: 6, bytes: 8_192 },
};
const VERSION = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+simulated",
  gitCommit: "",
  platform: "simulated",
};

/** What a machine's disk holds between two lives of its process. */
export interface Remains {
  readonly files: Map<string, Uint8Array>;
  readonly image: Buffer | undefined;
}

/** What all servers of a simulation share. */
export interface Surroundings {
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly prng: Prng;
  /** The process gave up by itself, as it must when its disk fails. */
  readonly onFatal: (server: SimServer, error: Error) => void;
}

/** One life of a server's process: the store and the API on a simulated machine. */
interface Life {
  readonly clock: ProcessClock;
  readonly disk: SimDisk;
  readonly storage: MemoryState;
  readonly endpoint: Endpoint;
  store: Store | undefined;
  /** Instead of a store. */
  witness: Witness | undefined;
  registry: Registry | undefined;
  forwarding: Forwarding | undefined;
  /** Why it could not start. */
  refusal: Error | undefined;
}

/** A machine of the cluster, and the process that runs on it now and then. */
export class SimServer {
  remains: Remains;
  /** The group has removed it. */
  removed = false;
  readonly #around: Surroundings;
  #life: Life | undefined;

  constructor(
    readonly member: Member,
    around: Surroundings,
    remains: Remains = { files: new Map(), image: undefined },
  ) {
    this.#around = around;
    this.remains = remains;
  }

  /** It votes and keeps the log, and serves nobody. */
  get isWitness(): boolean {
    return this.member.role === "witness";
  }

  /** Takes part in the group. */
  get started(): boolean {
    return this.#life?.store !== undefined || this.#life?.witness !== undefined;
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  get registry(): Registry | undefined {
    return this.#life?.registry;
  }

  /** Undefined while it is down or still starting. */
  get store(): Store | undefined {
    return this.#life?.store;
  }

  get disk(): SimDisk | undefined {
    return this.#life?.disk;
  }

  get clock(): ProcessClock | undefined {
    return this.#life?.clock;
  }

  get refusal(): Error | undefined {
    return this.#life?.refusal;
  }

  /** Answers a client; undefined while nobody listens. */
  get front(): ((request: Request) => Promise<Response>) | undefined {
    return this.#life?.forwarding?.front;
  }

  /** Rejects when the process dies. */
  get lost(): Promise<never> | undefined {
    return this.#life?.endpoint.lost.promise;
  }

  /** Starts the process; it serves some virtual time later. */
  start(start: GroupStart): void {
    const life = this.#newLife();
    this.#life = life;
    this.#open(life, start).catch((error: unknown) => {
      if (this.#life !== life) return;
      life.refusal = error instanceof Error ? error : new Error(String(error));
      this.#around.onFatal(this, life.refusal);
    });
  }

  /**
   * The process ends where it stands or, torn, within its next change of the disk if one comes
   * soon. Whether it was torn.
   */
  async crash(kind: "kill" | "power", options: { readonly torn: boolean }): Promise<boolean> {
    const life = this.#life;
    if (life === undefined) return false;
    if (options.torn) {
      life.disk.stopWithinNextChange();
      await this.#stopped(life);
    }
    if (this.#life !== life) return false;
    const torn = life.disk.crashed;
    this.#life = undefined;
    life.clock.stop();
    this.#around.network.detach(life.endpoint);
    this.remains = { files: life.disk.afterCrash(kind), image: this.#imageOf(life, kind) };
    await settle();
    if (life.storage.db.open) life.storage.db.close();
    return torn;
  }

  /** Waits until the disk stopped in the middle of a change, but not long. */
  async #stopped({ disk }: Life): Promise<void> {
    for (let waitedMs = 0; waitedMs < TORN_WITHIN_MS && !disk.crashed; waitedMs++) {
      await this.#around.timeline.wait(1);
    }
  }

  /** Ends the process as SIGTERM does. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    await (life.store ?? life.witness)?.close();
    this.#life = undefined;
    life.clock.stop();
    this.#around.network.detach(life.endpoint);
    this.remains = { files: life.disk.afterCrash("power"), image: life.storage.image() };
  }

  /** Its state with all that is applied: asked for a copy, it writes what waits to its file. */
  async wholeState(): Promise<Remains["image"]> {
    const life = this.#life;
    // Whether there is room for the copy is of no importance.
    life?.store?.snapshot(`${DIRECTORY}/whole.db`).catch(() => undefined);
    await settle();
    return life?.storage.db.serialize();
  }

  #imageOf({ storage }: Life, kind: "kill" | "power"): Remains["image"] {
    // A store that refused to open has closed its state, and left it as it was.
    if (!storage.db.open) return storage.image() ?? this.remains.image;
    return kind === "kill" ? storage.db.serialize() : storage.image();
  }

  #newLife(): Life {
    const { timeline, prng } = this.#around;
    const { files, image } = this.remains;
    const clock = new ProcessClock(timeline);
    const disk = new SimDisk(clock, prng, files);
    const loose = diskFiles(disk);
    const storage = new MemoryState(image === undefined ? undefined : Buffer.from(image), loose);
    const lost = Promise.withResolvers<never>();
    // Somebody may wait for it, or nobody.
    lost.promise.catch(() => undefined);
    const endpoint: Endpoint = {
      member: this.member.id,
      clock,
      handlers: undefined,
      forwarded: undefined,
      receiveFile: (path, bytes) => loose.write(path, bytes),
      snapshotDirectory: "",
      lost,
    };
    return {
      clock,
      disk,
      storage,
      endpoint,
      store: undefined,
      witness: undefined,
      registry: undefined,
      forwarding: undefined,
      refusal: undefined,
    };
  }

  async #open(life: Life, start: GroupStart): Promise<void> {
    const { network } = this.#around;
    const { clock, disk, storage, endpoint } = life;
    const random = this.#random();
    network.attach(endpoint);
    const common = {
      directory: DIRECTORY,
      disk,
      clock,
      random,
      logger: silentLogger,
      limits: LIMITS,
      onFatal: (error: Error) => this.#around.onFatal(this, error),
      group: {
        self: this.member,
        clusterId: CLUSTER_ID,
        transport: network.transport(endpoint),
        start,
        onRemoved: () => {
          this.removed = true;
        },
      },
    };
    if (this.isWitness) {
      life.witness = await openWitness(common);
      return;
    }
    const store = await openStore({ ...common, storage });
    life.store = store;
    this.#serve(life, store, random);
  }

  #serve(life: Life, store: Store, random: Random): void {
    const { network } = this.#around;
    const { clock, endpoint } = life;
    const registry = createRegistry({
      store,
      clock,
      random,
      logger: silentLogger,
      serviceCidr: SERVICE_CIDR,
      nodePortRange: NODE_PORTS,
    });
    const authenticator = tokenAuthenticator(
      new Map([[TOKEN, { name: "kubun-admin", groups: [ADMINISTRATORS] }]]),
    );
    const app = createApiServer({
      registry,
      clock,
      random,
      logger: silentLogger,
      authenticator,
      nodeConnector: () => undefined,
      version: VERSION,
    });
    const forwarding = createForwarding({
      store,
      app,
      peer: (member) => network.fetchTo(endpoint, member),
      authenticator,
      clock,
      logger: silentLogger,
    });
    store.onLeadership(({ self, term }) => {
      if (!self) registry.follow();
      // A term that is over before it began is refused; the next one is told anew.
      else registry.lead(term).catch(() => registry.follow());
    });
    life.registry = registry;
    life.forwarding = forwarding;
    endpoint.forwarded = (request, from) =>
      forwarding.peerFront(request, {
        commonName: `kubun:member:${from}`,
        organizations: ["kubun:servers"],
      });
  }

  /** Chance of one life, drawn from the seed. */
  #random(): Random {
    const { prng } = this.#around;
    return {
      float: () => prng.next() / 0x1_0000_0000,
      bytes: (length) => Uint8Array.from({ length }, () => prng.next() & 0xff),
    };
  }
}
