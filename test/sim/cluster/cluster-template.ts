import { bootstrap } from "../../../src/apiserver/index.ts";
import { silentLogger } from "../../../src/lib/index.ts";
import type { Member, MemberId, Revision } from "../../../src/store/index.ts";
import { Prng } from "../core/prng.ts";
import { createClusterStatistics } from "./cluster-statistics.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimServer } from "./sim-server.ts";
import type { Remains } from "./sim-server.ts";
import { Timeline } from "./timeline.ts";

export const START_MS = Date.UTC(2026, 0, 1);
const FORMED_WITHIN_MS = 60_000;
const LOOK_MS = 100;
const SEED = 1;

/** What the disks of a newly formed cluster hold: every seed begins with a copy. */
export interface ClusterTemplate {
  readonly remains: readonly Remains[];
  readonly revision: Revision;
  readonly endMs: number;
}

export function memberOf(id: number): Member {
  return {
    id: id as MemberId,
    name: `s${id}`,
    role: "voter",
    peerAddress: `s${id}:10250`,
    apiAddress: `https://s${id}:6443`,
  };
}

/** Founds a cluster and lets the others join, as the servers' command does. */
export async function formCluster(size: number): Promise<ClusterTemplate> {
  const timeline = new Timeline(START_MS);
  const prng = new Prng(SEED);
  const statistics = createClusterStatistics();
  const network = new SimNetwork({ timeline, prng, statistics, onMessage: () => undefined });
  const around = {
    timeline,
    network,
    prng,
    onFatal: (server: SimServer, error: Error) => {
      throw new Error(`${server.member.name} ends`, { cause: error });
    },
  };
  const servers = Array.from({ length: size }, (_, at) => new SimServer(memberOf(at + 1), around));
  const first = servers[0] as SimServer;
  first.start({ type: "bootstrap" });
  await until(timeline, "the first server leads", () => first.store?.leadership.self === true);
  const { store, registry } = first;
  if (store === undefined || registry === undefined) throw new Error("the first server serves");
  const booting = bootstrap({ registry, logger: silentLogger, servers: [] });
  await during(timeline, booting);
  for (const server of servers.slice(1)) {
    await during(timeline, store.membership.add({ ...server.member, role: "learner" }));
    server.start({ type: "join", members: store.membership.members() });
    const { id } = server.member;
    await until(timeline, `${server.member.name} votes`, () =>
      store.membership.members().some((member) => member.id === id && member.role === "voter"),
    );
  }
  const { revision } = store;
  await until(timeline, "all have everything", () =>
    servers.every((server) => server.store?.revision === revision),
  );
  for (const server of servers) await during(timeline, server.stop());
  return { remains: servers.map((server) => server.remains), revision, endMs: timeline.nowMs };
}

async function until(timeline: Timeline, what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = timeline.nowMs + FORMED_WITHIN_MS;
  while (!holds()) {
    if (timeline.nowMs > deadlineMs) throw new Error(`not in time: ${what}`);
    await timeline.runUntil(timeline.nowMs + LOOK_MS);
  }
}

async function during(timeline: Timeline, work: Promise<void>): Promise<void> {
  const done = new AbortController();
  const finished = work.finally(() => done.abort());
  finished.catch(() => undefined);
  await until(timeline, "what was asked for", () => done.signal.aborted);
  await finished;
}
