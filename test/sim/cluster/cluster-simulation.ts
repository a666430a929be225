import { Buffer } from "node:buffer";
import { MemoryState, stateHash, StateMachine } from "../../../src/mvcc/index.ts";
import type { Member } from "../../../src/store/index.ts";
import { Prng } from "../core/prng.ts";
import { Trace } from "../core/trace.ts";
import type { SeedOutcome, Simulation } from "../outcome.ts";
import { ApiCalls } from "./api-calls.ts";
import { ClusterFaults } from "./cluster-faults.ts";
import { createClusterStatistics } from "./cluster-statistics.ts";
import { formCluster, memberOf } from "./cluster-template.ts";
import type { ClusterTemplate } from "./cluster-template.ts";
import { ClusterViolation } from "./cluster-violation.ts";
import { ClientHistory } from "./history.ts";
import { MembershipChanges } from "./membership-changes.ts";
import { SimClient } from "./sim-client.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimServer } from "./sim-server.ts";
import type { Remains } from "./sim-server.ts";
import { checkWatches, SimWatcher } from "./sim-watcher.ts";
import { Timeline } from "./timeline.ts";
import { checkAcknowledged, checkAddresses, configMapEvents, Truth } from "./truth.ts";

/** Every fourth seed has two servers and a witness instead of three servers. */
const WITNESS_EVERY = 4;
const CLIENTS = 5;
const WATCHERS = 2;
const MEAN_PAUSE_MS = 500;
const WARM_UP_MS = 2_000;
const FAULTS_END_MS = 42_000;
const CLIENTS_END_MS = 55_000;
const END_MS = 60_000;
/** Whoever was behind has everything by then. */
const CONVERGED_WITHIN_MS = 20_000;
const MIN_FAULTS = 6;
const MIN_OPERATIONS = 200;
const LOOK_MS = 250;

/** Everything of one seed. */
interface Run {
  readonly prng: Prng;
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly servers: SimServer[];
  readonly faults: ClusterFaults;
  readonly changes: MembershipChanges;
  readonly history: ClientHistory;
  readonly clients: readonly SimClient[];
  readonly watchers: readonly SimWatcher[];
  readonly calls: ApiCalls;
  /** The state's hash at each applied index that anybody was seen at. */
  readonly truth: Truth;
  readonly hashes: Map<number, string>;
  readonly ended: AbortController;
  failure: Error | undefined;
}

/** Runs seeds of whole servers: store, registry and API, as they are in production. */
export class ClusterSimulation implements Simulation {
  readonly statistics = createClusterStatistics();
  readonly #trace = new Trace();
  #servers: Promise<ClusterTemplate> | undefined;
  #withWitness: Promise<ClusterTemplate> | undefined;

  async run(seed: number, options: { readonly recording?: number } = {}): Promise<SeedOutcome> {
    const template = await this.#templateOf(seed);
    this.#trace.reset(options.recording ?? 0);
    let violation: Error | undefined;
    const run = this.#prepare(seed, template);
    try {
      await this.#play(run, template);
      await this.#verify(run);
    } catch (error) {
      violation = error instanceof Error ? error : new Error(String(error));
    }
    this.statistics.seeds += 1;
    this.statistics.virtualSeconds += (run.timeline.nowMs - template.endMs) / 1_000;
    await this.#dismiss(run);
    const outcome = { seed, traceHash: this.#trace.hash, lines: this.#trace.lastLines() };
    return violation === undefined ? outcome : { ...outcome, violation };
  }

  #templateOf(seed: number): Promise<ClusterTemplate> {
    if (seed % WITNESS_EVERY !== 0) {
      this.#servers ??= formCluster([memberOf(1), memberOf(2), memberOf(3)]);
      return this.#servers;
    }
    this.#withWitness ??= formCluster([memberOf(1), memberOf(2), memberOf(3, "witness")]);
    return this.#withWitness;
  }

  #prepare(seed: number, template: ClusterTemplate): Run {
    const { statistics } = this;
    const prng = new Prng(seed);
    const timeline = new Timeline(template.endMs);
    const trace = this.#trace;
    const note = (text: string): void => {
      trace.mix(timeline.nowMs, text.length, text.charCodeAt(text.length >> 1));
      if (trace.recording) trace.line(`${(timeline.nowMs - template.endMs).toFixed(0)} ${text}`);
    };
    const network = new SimNetwork({
      timeline,
      prng,
      statistics,
      onMessage: (from, to, { type, term }) => trace.mix(from * 64 + to, type.length, term),
    });
    const servers: SimServer[] = [];
    const history = new ClientHistory();
    const calls = new ApiCalls(timeline, prng, statistics);
    const run: Partial<Run> & Pick<Run, "failure"> = { failure: undefined };
    const living = (): readonly SimServer[] => servers.filter((server) => !server.removed);
    const faults = new ClusterFaults({
      timeline,
      prng,
      network,
      statistics,
      servers: living,
      note,
      onRemains: (server) => {
        if (!server.isWitness) this.#compareHash(run as Run, server.remains);
      },
    });
    const around = {
      timeline,
      network,
      prng,
      onFatal: (server: SimServer, error: Error) => {
        note(`${server.member.name} ends: ${error.message}`);
        // A sync that fails while it starts ends it as it would later; that is no fault of its own.
        const isSyncFault = "code" in error && error.code === "EIO";
        if (!server.started && !isSyncFault) {
          const why = `${server.member.name} does not start: ${error.stack}`;
          (run as Run).failure ??= new ClusterViolation("start", why);
        } else void faults.crash(server, "kill", 1_000);
      },
    };
    template.remains.forEach((remains, at) => {
      servers.push(new SimServer(template.members[at] as Member, around, copyOf(remains)));
    });
    let values = 0;
    const serving = (): readonly SimServer[] => living().filter(({ isWitness }) => !isWitness);
    const parts = { timeline, prng, calls, history, statistics, note, servers: serving };
    const newValue = (): number => ++values;
    return Object.assign(run, {
      prng,
      timeline,
      network,
      servers,
      faults,
      changes: new MembershipChanges({ ...parts, servers: living, all: servers, around }),
      history,
      clients: Array.from(
        { length: CLIENTS },
        (_, at) => new SimClient(`c${at}`, { ...parts, newValue }),
      ),
      watchers: Array.from({ length: WATCHERS }, () => new SimWatcher(parts)),
      calls,
      truth: new Truth(template.revision),
      hashes: new Map<number, string>(),
      ended: new AbortController(),
    });
  }

  async #play(run: Run, template: ClusterTemplate): Promise<void> {
    const { timeline, servers, prng, clients, watchers, faults, changes, ended } = run;
    const at = (ms: number): number => template.endMs + ms;
    for (const server of servers) server.start({ type: "restart" });
    await timeline.runUntil(at(WARM_UP_MS));
    const fail = (error: unknown): void => {
      run.failure ??= error instanceof Error ? error : new Error(String(error));
    };
    const work = [
      ...clients.map((client) => client.run(ended.signal, MEAN_PAUSE_MS)),
      ...watchers.map((watcher) => watcher.run(ended.signal)),
    ];
    for (const each of work) each.catch(fail);
    const count = MIN_FAULTS + prng.below(7);
    for (let number = 0; number < count; number++) {
      const delayMs = prng.below(FAULTS_END_MS - WARM_UP_MS);
      timeline.after(delayMs, () => {
        if (prng.permille(150)) changes.change().catch(fail);
        faults.strike();
      });
    }
    timeline.after(FAULTS_END_MS - WARM_UP_MS, () => faults.end());
    for (let ms = WARM_UP_MS; ms < CLIENTS_END_MS && run.failure === undefined; ms += 1_000) {
      await timeline.runUntil(at(ms));
      await collect(run);
    }
    while (run.failure === undefined && operationsOf(run) < MIN_OPERATIONS) {
      await timeline.runUntil(timeline.nowMs + LOOK_MS);
      await collect(run);
    }
    ended.abort();
    if (run.failure === undefined) await timeline.runUntil(Math.max(timeline.nowMs, at(END_MS)));
    await collect(run);
    if (run.failure !== undefined) throw run.failure;
  }

  /** After the faults: everybody serves, and has the same; then what was seen is checked. */
  async #verify(run: Run): Promise<void> {
    const { timeline, history } = run;
    const deadlineMs = timeline.nowMs + CONVERGED_WITHIN_MS;
    let servers = dataServers(run.servers);
    while (!haveConverged(servers)) {
      servers = dataServers(run.servers);
      if (timeline.nowMs > deadlineMs || run.failure !== undefined) {
        throw run.failure ?? new ClusterViolation("convergence", describe(servers));
      }
      await timeline.runUntil(timeline.nowMs + LOOK_MS);
    }
    for (const server of servers) {
      const image = await server.wholeState();
      this.#compareHash(run, { files: new Map(), image });
    }
    await collect(run);
    const truth = run.truth.events;
    const events = configMapEvents(truth);
    checkAcknowledged(history.acknowledged, events);
    checkAddresses(truth);
    for (const watcher of run.watchers) checkWatches(watcher.records, events);
    this.statistics.count("history checked", history.check());
  }

  /** Whatever a server's state is, it is that of every other at the same index. */
  #compareHash(run: Run, { image }: Remains): void {
    if (image === undefined) return;
    const storage = new MemoryState(Buffer.from(image));
    const machine = new StateMachine({ db: storage.db });
    const index = machine.appliedIndex;
    const hash = stateHash(machine);
    storage.db.close();
    const known = run.hashes.get(index);
    this.statistics.count("state hash compared");
    if (known !== undefined && known !== hash) {
      const why = `at ${index} one has ${known}, another ${hash}`;
      run.failure ??= new ClusterViolation("state hashes", why);
    }
    run.hashes.set(index, hash);
  }

  async #dismiss({ servers }: Run): Promise<void> {
    for (const server of servers) await server.crash("kill", { torn: false });
  }
}

/** By servers that run: a paused one is not asked. */
async function collect({ truth, servers }: Run): Promise<void> {
  const awake = servers.filter(({ clock }) => clock?.paused === false);
  await truth.collect(awake.flatMap(({ store }) => store ?? []));
}

function operationsOf({ clients }: Run): number {
  return clients.reduce((sum, client) => sum + client.operations, 0);
}

/**
 * Those that belong to the group as its leader knows it: who asked for a removal may have died
 * before it heard that it was done.
 */
function dataServers(servers: readonly SimServer[]): readonly SimServer[] {
  const leader = servers.find(({ store }) => store?.leadership.self === true);
  const members = leader?.store?.membership.members();
  return servers.filter(
    ({ removed, isWitness, member }) =>
      !removed && !isWitness && (members?.some(({ id }) => id === member.id) ?? true),
  );
}

function haveConverged(servers: readonly SimServer[]): boolean {
  const revision = servers[0]?.store?.revision;
  return (
    revision !== undefined &&
    servers.every(({ store }) => store?.revision === revision) &&
    servers.some(({ store }) => store?.leadership.self === true)
  );
}

function describe(servers: readonly SimServer[]): string {
  const of = ({ member, store, running }: SimServer): string =>
    `${member.name} ${running ? "" : "(down) "}at ${store?.revision ?? "nothing"}, ` +
    `leader ${store?.leadership.leader ?? "unknown"}`;
  return `still differing after the faults: ${servers.map(of).join("; ")}`;
}

function copyOf({ files, image }: Remains): Remains {
  const copies = [...files].map(([path, bytes]) => [path, bytes.slice()] as const);
  return { files: new Map(copies), image };
}
