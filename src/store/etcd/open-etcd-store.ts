import { sleep } from "../../lib/index.ts";
import type { Clock, Logger, Random } from "../../lib/index.ts";
import type { Revision } from "../../mvcc/index.ts";
import { MembershipError } from "../group-membership.ts";
import { IdentityError, newClusterId, newMemberId } from "../member-identity.ts";
import { RevisionWaiters } from "../revision-waiters.ts";
import type { Member, MemberStatus, Membership, Store } from "../store.ts";
import { EtcdClient } from "./etcd-client.ts";
import type { EtcdTls } from "./etcd-client.ts";
import { EtcdMirror } from "./etcd-mirror.ts";
import { EtcdSession } from "./etcd-session.ts";
import { EtcdStore } from "./etcd-store.ts";
import { decodeText, encodeText } from "./etcd-wire.ts";
import type { EtcdRange, EtcdTxn } from "./etcd-wire.ts";

export interface OpenEtcdStoreOptions {
  /** Origins, "https://HOST:PORT"; all of one etcd v3 cluster, 3.4 or later. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Keeps clusters apart that share an etcd; begins with "/". */
  readonly prefix?: string;
  /** The cluster that this server belongs to; the first server that comes names it. */
  readonly clusterId?: string;
  /** How the other servers reach this one; alone it needs no address. */
  readonly self?: Member;
}

const DEFAULT_PREFIX = "/kubun";
const CLUSTER_ID_KEY = "/cluster-id";
/** History is kept for at least this long, as Kubernetes' API servers do with etcd. */
const COMPACTION_INTERVAL_MS = 5 * 60 * 1000;

/**
 * Opens a store whose state is in an external etcd cluster. Resolves when the state is in memory
 * and this server has asked for leadership; a server that is alone leads then.
 *
 * @throws EtcdError when etcd cannot be reached, IdentityError when it holds another cluster
 */
export async function openEtcdStore(options: OpenEtcdStoreOptions): Promise<Store> {
  const { clock, random, logger, prefix = DEFAULT_PREFIX } = options;
  const client = new EtcdClient({ ...options, tls: options.tls });
  const steps = new Set<() => void>();
  const closed = new AbortController();
  const waiters: RevisionWaiters = new RevisionWaiters(clock, () => mirror.revision);
  const onApplied = (): void => {
    session.look();
    membership.look();
    waiters.applied();
    for (const step of steps) step();
  };
  const clusterId = await claimClusterId(client, prefix, options);
  const mirror: EtcdMirror = new EtcdMirror({ client, prefix, clock, logger, onApplied });
  const self = options.self ?? nobody(random);
  const session: EtcdSession = new EtcdSession({ client, mirror, self, clock, random, logger });
  const membership = new EtcdMembership(session, self, clusterId);
  const parts = { client, mirror, session, membership, waiters, steps, clock, random, logger };
  const store = new EtcdStore({ ...parts, closed });
  await mirror.load();
  void mirror.follow(closed.signal);
  await session.begin(closed.signal);
  // Whether this server leads or another one does, everything before that is here now.
  await store.barrier();
  void keepCompacting(store, options, closed.signal);
  return store;
}

function nobody(random: Random): Member {
  return { id: newMemberId(random), name: "", role: "voter", peerAddress: "", apiAddress: "" };
}

/** The first server that comes names the cluster; another cluster's server is refused. */
async function claimClusterId(
  client: EtcdClient,
  prefix: string,
  { clusterId, random }: OpenEtcdStoreOptions,
): Promise<string> {
  const key = encodeText(`${prefix}${CLUSTER_ID_KEY}`);
  const read = { request_range: { key } };
  const value = encodeText(clusterId ?? newClusterId(random));
  const answer = (await client.call(
    "/v3/kv/txn",
    {
      compare: [{ key, target: "CREATE", create_revision: "0" }],
      success: [{ request_put: { key, value } }, read],
      failure: [read],
    },
    { repeatable: true },
  )) as EtcdTxn;
  const range: EtcdRange | undefined = answer.responses?.at(-1)?.response_range;
  const present = decodeText(range?.kvs?.[0]?.value ?? "");
  if (clusterId === undefined || clusterId === present) return present;
  throw new IdentityError(
    `etcd holds cluster ${present} below ${prefix}, and this server is of cluster ${clusterId}: ` +
      "to be one more server of that cluster, join it (--join and a token, with an empty " +
      "--data-dir); for a new cluster take an empty etcd",
  );
}

/** The leader forgets what is older than one interval. */
async function keepCompacting(
  store: Store,
  { clock, logger }: OpenEtcdStoreOptions,
  signal: AbortSignal,
): Promise<void> {
  let former: Revision | undefined;
  for (;;) {
    await sleep(clock, COMPACTION_INTERVAL_MS, signal);
    if (signal.aborted) return;
    const { revision } = store;
    if (store.leadership.self && former !== undefined && former > store.compactedRevision) {
      await store.compact(former).catch((error: unknown) => {
        logger.warn("etcd was not compacted", { error: String(error) });
      });
    }
    former = revision;
  }
}

/** The servers that share the etcd cluster. Who holds the state is etcd's own affair. */
class EtcdMembership implements Membership {
  readonly clusterId: string;
  readonly #session: EtcdSession;
  readonly #self: Member;
  readonly #listeners = new Set<() => void>();
  #known = "";

  constructor(session: EtcdSession, self: Member, clusterId: string) {
    this.#session = session;
    this.#self = self;
    this.clusterId = clusterId;
  }

  get self(): Member["id"] {
    return this.#self.id;
  }

  members(): readonly Member[] {
    return this.#session.servers();
  }

  status(): readonly MemberStatus[] {
    const { leader } = this.#session.leadership;
    return this.members().map((member) => ({
      ...member,
      leader: member.id === leader,
      // Whoever does not keep its session is not listed.
      reachable: true,
      lag: 0,
    }));
  }

  /** A server tells of itself while it runs; there is nothing to add before. */
  add(): Promise<void> {
    return Promise.resolve();
  }

  promote(): Promise<void> {
    return Promise.reject(new MembershipError(ETCD_HAS_MEMBERS));
  }

  remove(): Promise<void> {
    return Promise.reject(new MembershipError(ETCD_HAS_MEMBERS));
  }

  transferLeadership(): Promise<void> {
    return Promise.reject(new MembershipError(ETCD_HAS_MEMBERS));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  look(): void {
    const known = JSON.stringify(this.members());
    if (known === this.#known) return;
    this.#known = known;
    for (const listener of this.#listeners) listener();
  }
}

const ETCD_HAS_MEMBERS =
  "the state is in etcd, which has members of its own (see etcdctl member): " +
  "a server of this cluster is one for as long as it runs";
