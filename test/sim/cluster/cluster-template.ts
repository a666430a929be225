import { bootstrap } from "../../../src/apiserver/index.ts";
import { silentLogger } from "../../../src/lib/index.ts";
import type { Member, MemberId, MemberRole, Revision } from "../../../src/store/index.ts";
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
  readonly members: readonly Member[];
  readonly remains: readonly Remains[];
  readonly revision: Revision;
  readonly endMs: number;
}

export function memberOf(id: number, role: MemberRole = "voter"): Member {
  return {
    id: id as MemberId,
    name: `s${id}`,
    role,
    peerAddress: `s${id}:10250`,
    apiAddress: role === "witness" ? "" : `https://s${id}:6443`,
  };
}

/** Founds a cluster and lets the others join, as the servers' command does; the first founds. */
export async function formCluster(members: readonly Member[]): Promise<ClusterTemplate> {
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
  const servers = members.map((member) => new SimServer(member, around));
  const first = servers[0] as SimServer;
  first.start({ type: "bootstrap" });
  await until(timeline, "the first server leads", () => first.store?.leadership.self === true);
  const { store, registry } = first;
  if (store === undefined || registry === undefined) throw new Error("the first server serves");
  const booting = bootstrap({ registry, logger: silentLogger, servers: [] });
  await during(timeline, booting);
  for (const server of servers.slice(1)) {
    const { member } = server;
    const known = store.membership.members();
    // A witness votes from the beginning, so that its admission needs it.
    if (server.isWitness) server.start({ type: "join", members: known });
    const role = server.isWitness ? "witness" : "learner";
    await during(timeline, store.membership.add({ ...member, role }));
    if (!server.isWitness) server.start({ type: "join", members: store.membership.members() });
    await until(timeline, `${member.name} votes`, () =>
      store.membership.members().some(({ id, role: now }) => id === member.id && now !== "learner"),
    );
  }
  const { revision } = store;
  await until(timeline, "all have everything", () =>
    servers.every((server) => server.isWitness || server.store?.revision === revision),
  );
  for (const server of servers) await during(timeline, server.stop());
  const remains = servers.map((server) => server.remains);
  return { members, remains, revision, endMs: timeline.nowMs };
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
