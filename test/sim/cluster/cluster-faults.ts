import type { Prng } from "../core/prng.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimServer } from "./sim-server.ts";
import type { Timeline } from "./timeline.ts";

/** Faults last so long at most; most are much shorter. */
const MAX_FAULT_MS = 12_000;
const USUAL_FAULT_MS = 4_000;
const SLOW_WRITE_MS = 400;
const MAX_JUMP_MS = 3_600_000;
/** The log's segments, named after their first entry; not its spares. */
const SEGMENT = /\/log\/\d+\.log$/;

const KINDS = [
  { kind: "partition", weight: 3 },
  { kind: "asymmetric", weight: 2 },
  { kind: "cut-off", weight: 3 },
  { kind: "storm", weight: 3 },
  { kind: "kill", weight: 4 },
  { kind: "power", weight: 4 },
  { kind: "power-all", weight: 1 },
  { kind: "rot", weight: 1 },
  { kind: "full", weight: 2 },
  { kind: "slow", weight: 2 },
  { kind: "sync", weight: 1 },
  { kind: "pause", weight: 3 },
  { kind: "jump", weight: 1 },
] as const;

type Kind = (typeof KINDS)[number]["kind"];

const WEIGHED: readonly Kind[] = KINDS.flatMap(({ kind, weight }) =>
  Array.from({ length: weight }, () => kind),
);

export interface FaultParts {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly network: SimNetwork;
  readonly statistics: ClusterStatistics;
  readonly servers: () => readonly SimServer[];
  readonly note: (text: string) => void;
  /** Told of what a crash leaves, before anybody starts on it. */
  readonly onRemains: (server: SimServer) => void;
}

/** Strikes running servers, and undoes what it did. */
export class ClusterFaults {
  readonly #parts: FaultParts;
  #over = false;
  /** Only this machine's medium rots: two that repair themselves may be too many to elect. */
  #rotten: SimServer | undefined;

  constructor(parts: FaultParts) {
    this.#parts = parts;
  }

  strike(): void {
    const { prng, servers, note } = this.#parts;
    const kind = prng.pick(WEIGHED) as Kind;
    const server = this.#someone(
      servers().filter(({ running, clock }) => running && !clock?.paused),
    );
    if (server === undefined) return;
    const durationMs = 200 + prng.below(prng.permille(700) ? USUAL_FAULT_MS : MAX_FAULT_MS);
    note(`fault ${kind} ${server.member.name} for ${durationMs} ms`);
    if (kind === "kill" || kind === "power") void this.crash(server, kind, durationMs);
    else if (kind === "power-all") {
      for (const each of servers()) void this.crash(each, "power", prng.below(durationMs));
    } else if (kind === "rot") void this.#rot(server, durationMs);
    else if (kind === "pause" || kind === "jump") this.#disturbClock(kind, server, durationMs);
    else if (kind === "full" || kind === "slow" || kind === "sync") {
      this.#spoilDisk(kind, server, durationMs);
    } else this.#spoilNetwork(kind, server, durationMs);
  }

  /** The process ends, and begins again after a while. */
  async crash(server: SimServer, kind: "kill" | "power", durationMs: number): Promise<void> {
    const { prng, statistics, timeline, onRemains } = this.#parts;
    if (!server.running) return;
    statistics.count(kind === "kill" ? "process killed" : "power cut");
    server.clock?.resume();
    if (await server.crash(kind, { torn: prng.permille(400) })) statistics.count("torn write");
    onRemains(server);
    if (this.#over) return this.restart(server);
    timeline.after(durationMs, () => this.restart(server));
  }

  restart(server: SimServer): void {
    const { note, statistics } = this.#parts;
    if (server.running || server.removed) return;
    statistics.count("restart");
    note(`${server.member.name} starts`);
    server.start({ type: "restart" });
  }

  /** Everything works from here on. */
  end(): void {
    const { network, servers } = this.#parts;
    this.#over = true;
    network.mend();
    network.calm();
    for (const server of servers()) {
      server.clock?.resume();
      server.disk?.free();
      server.disk?.beQuick();
      this.restart(server);
    }
  }

  #disturbClock(kind: "pause" | "jump", server: SimServer, durationMs: number): void {
    const { prng, statistics, timeline } = this.#parts;
    const { clock } = server;
    if (clock === undefined) return;
    if (kind === "jump") {
      statistics.count("clock jump");
      clock.jump(prng.between(-MAX_JUMP_MS, MAX_JUMP_MS));
      return;
    }
    statistics.count("pause");
    clock.pause();
    timeline.after(durationMs, () => clock.resume());
  }

  #spoilDisk(kind: "full" | "slow" | "sync", server: SimServer, durationMs: number): void {
    const { statistics, timeline } = this.#parts;
    const { disk } = server;
    if (disk === undefined) return;
    if (kind === "sync") {
      // Whoever cannot write ends: the store says so, and the process obeys.
      statistics.count("sync failure");
      disk.failSyncs();
    } else if (kind === "full") {
      statistics.count("disk full");
      disk.fill();
      timeline.after(durationMs, () => disk.free());
    } else {
      statistics.count("slow disk");
      disk.beSlow(SLOW_WRITE_MS);
      timeline.after(durationMs, () => disk.beQuick());
    }
  }

  #spoilNetwork(
    kind: "partition" | "asymmetric" | "cut-off" | "storm",
    server: SimServer,
    durationMs: number,
  ): void {
    const { network, prng, servers, statistics, timeline } = this.#parts;
    if (kind === "storm") {
      statistics.count("network storm");
      network.loss = prng.pick([0, 50, 200]) ?? 0;
      network.duplication = prng.pick([0, 50, 300]) ?? 0;
      network.jitterMs = prng.pick([0, 50, 300, 1_000]) ?? 0;
      timeline.after(durationMs, () => network.calm());
      return;
    }
    network.mend();
    const set = new Set(servers().filter((each) => each === server || prng.permille(300)));
    const inside = kind === "cut-off" ? new Set([server]) : set;
    if (kind === "cut-off") statistics.count("server cut off");
    else statistics.count(kind === "partition" ? "partition" : "asymmetric partition");
    for (const from of inside) {
      for (const to of servers()) {
        if (inside.has(to)) continue;
        network.cut(from.member.id, to.member.id);
        if (kind !== "asymmetric") network.cut(to.member.id, from.member.id);
      }
    }
    timeline.after(durationMs, () => network.mend());
  }

  /**
   * A bit of the log turns while the machine is off, of one server at a time. Never in the last
   * segment: damage of the last frame looks like an interrupted write.
   */
  async #rot(server: SimServer, durationMs: number): Promise<void> {
    const { prng, statistics } = this.#parts;
    if ((this.#rotten ?? server) !== server) return;
    this.#rotten = server;
    await this.crash(server, "power", durationMs);
    const segments = [...server.remains.files]
      .filter(([path]) => SEGMENT.test(path))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const [path, bytes] = prng.pick(segments.slice(0, -1)) ?? [];
    if (path === undefined || bytes === undefined || server.running) return;
    statistics.count("bit rot");
    const damaged = bytes.slice();
    const at = prng.below(damaged.length);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << prng.below(8));
    server.remains.files.set(path, damaged);
  }

  #someone(servers: readonly SimServer[]): SimServer | undefined {
    const { prng } = this.#parts;
    // Often the leader: that is where it hurts.
    if (prng.permille(400)) {
      const leader = servers.find(({ store }) => store?.leadership.self === true);
      if (leader !== undefined) return leader;
    }
    return prng.pick(servers);
  }
}
