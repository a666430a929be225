import { Buffer } from "node:buffer";
import { sleep } from "../../lib/index.ts";
import type { Clock, Logger, Random } from "../../lib/index.ts";
import type { MemberId, Term } from "../../raft/index.ts";
import type { Leadership, Member } from "../store.ts";
import type { EtcdClient } from "./etcd-client.ts";
import type { EtcdMirror } from "./etcd-mirror.ts";
import { encodeBytes, encodeText } from "./etcd-wire.ts";

export interface EtcdSessionOptions {
  readonly client: EtcdClient;
  readonly mirror: EtcdMirror;
  /** How the other servers reach this one. */
  readonly self: Member;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A leader that vanished is followed by another after so long. */
const SESSION_SECONDS = 5;
const KEEPALIVE_MS = (SESSION_SECONDS * 1000) / 3;
const RETRY_MS = 500;
/** Names of leases are ours to choose; these fit a safe integer. */
const LEASE_BYTES = 6;

export const LEADER_KEY = "/leader";
export const SERVERS_PREFIX = "/servers/";

/**
 * This server among those that share the etcd cluster: a lease that it keeps alive, its address
 * under the lease, and, when nobody has it, the leader's key. The term is the revision that created
 * the leader's key: it rises from leader to leader, and every write compares it in its transaction,
 * so that a leader which does not know yet that it is none any more writes nothing.
 */
export class EtcdSession {
  readonly #options: EtcdSessionOptions;
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  #leadership: Leadership = { term: 0 as Term, leader: undefined, self: false };
  /** 0 while there is none. */
  #lease = 0;
  /** Until then the lease lives whatever happens, by the monotonic clock. */
  #aliveUntilMs = 0;
  #campaigning = false;

  constructor(options: EtcdSessionOptions) {
    this.#options = options;
  }

  get leadership(): Leadership {
    return this.#leadership;
  }

  listen(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The servers that are there now, by id. */
  servers(): readonly Member[] {
    const { mirror } = this.#options;
    return mirror
      .controls(SERVERS_PREFIX)
      .flatMap((kv) => memberOf(kv.value) ?? [])
      .sort((a, b) => a.id - b.id);
  }

  /** The first attempt is made before this resolves: a server alone leads at once. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#keepOnce();
    void this.#keep(signal);
  }

  /** With every step of the mirror: who leads may have changed. */
  look(): void {
    const { mirror, clock, self } = this.#options;
    const key = mirror.control(LEADER_KEY);
    const leader = key === undefined ? undefined : memberOf(key.value)?.id;
    const own = key?.lease === this.#lease && leader === self.id;
    const alive = clock.monotonic() < this.#aliveUntilMs;
    this.#become({
      term: Math.max(this.#leadership.term, key?.createRevision ?? 0) as Term,
      leader: own && !alive ? undefined : leader,
      self: own && alive,
    });
    if (key === undefined && this.#lease !== 0) void this.#campaign();
  }

  /** Another server may lead at once. */
  async end(): Promise<void> {
    const lease = this.#lease;
    this.#lease = 0;
    this.#become({ ...this.#leadership, leader: undefined, self: false });
    if (lease === 0) return;
    try {
      await this.#options.client.call("/v3/lease/revoke", { ID: String(lease) }, once);
    } catch (error) {
      this.#options.logger.debug("the session ends by itself", { error: String(error) });
    }
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await sleep(clock, this.#lease === 0 ? RETRY_MS : KEEPALIVE_MS, signal);
      if (signal.aborted) return;
      await this.#keepOnce();
    }
  }

  async #keepOnce(): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      // The lease lives from when etcd hears of it, which is after it was sent.
      const sentMs = clock.monotonic();
      if (this.#lease === 0) await this.#beginLease();
      else if (!(await this.#renew())) this.#lease = 0;
      if (this.#lease !== 0) this.#aliveUntilMs = sentMs + SESSION_SECONDS * 1000;
      if (this.#options.mirror.control(LEADER_KEY) === undefined) await this.#campaign();
    } catch (error) {
      logger.warn("the session with etcd was not renewed", { error: String(error) });
    }
    this.look();
  }

  async #beginLease(): Promise<void> {
    const { client, random, self, mirror } = this.#options;
    const lease = Buffer.from(random.bytes(LEASE_BYTES)).readUIntBE(0, LEASE_BYTES) + 1;
    const body = { ID: String(lease), TTL: String(SESSION_SECONDS) };
    await client.call("/v3/lease/grant", body, once);
    const put = {
      key: encodeText(mirror.controlKey(`${SERVERS_PREFIX}${self.id}`)),
      value: encodeBytes(describe(self)),
      lease: String(lease),
    };
    await client.call("/v3/kv/put", put, { repeatable: true });
    this.#lease = lease;
  }

  async #renew(): Promise<boolean> {
    const body = { ID: String(this.#lease) };
    const answer = (await this.#options.client.call("/v3/lease/keepalive", body, {
      repeatable: true,
    })) as { result?: { TTL?: string } };
    return Number(answer.result?.TTL ?? 0) > 0;
  }

  async #campaign(): Promise<void> {
    const { client, mirror, self, logger } = this.#options;
    if (this.#campaigning || this.#lease === 0) return;
    this.#campaigning = true;
    try {
      const key = encodeText(mirror.controlKey(LEADER_KEY));
      const value = encodeBytes(describe(self));
      await client.call(
        "/v3/kv/txn",
        {
          compare: [{ key, target: "CREATE", create_revision: "0" }],
          success: [{ request_put: { key, value, lease: String(this.#lease) } }],
        },
        // Whoever got it, the key says.
        { repeatable: true },
      );
    } catch (error) {
      logger.warn("asking etcd for leadership failed", { error: String(error) });
    } finally {
      this.#campaigning = false;
    }
  }

  #become(next: Leadership): void {
    const { term, leader, self } = this.#leadership;
    if (next.term === term && next.leader === leader && next.self === self) return;
    this.#leadership = next;
    for (const listener of this.#listeners) listener(next);
  }
}

const once = { repeatable: false } as const;

function describe(member: Member): Uint8Array {
  return Buffer.from(JSON.stringify(member), "utf8");
}

/** Undefined for what is not one: etcd may hold what somebody else put there. */
function memberOf(bytes: Uint8Array): Member | undefined {
  let value: Partial<Member>;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<Member>;
  } catch {
    return undefined; // Not ours: the server is then not listed.
  }
  const { id, name, peerAddress, apiAddress } = value;
  if (!Number.isSafeInteger(id) || typeof name !== "string") return undefined;
  if (typeof peerAddress !== "string" || typeof apiAddress !== "string") return undefined;
  return { id: id as MemberId, name, role: "voter", peerAddress, apiAddress };
}
