import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import { StoreError } from "../mvcc/index.ts";
import type { ConfigStep, MemberId, PeerProgress } from "../raft/index.ts";
import { bestSuccessor } from "./best-successor.ts";
import type { Driver } from "./driver.ts";
import { notLeaderError } from "./proposals.ts";
import type { Member, MemberStatus, Membership } from "./store.ts";
import { TICK_MS } from "./ticker.ts";

/** A learner so few entries behind has caught up, if it stays so for several looks. */
const PROMOTION_LAG = 100;
const PROMOTION_LOOKS = 3;
const LOOK_TICKS = 3;
/** Another change of the group is under way: asked again after this, for as long as that. */
const BUSY_RETRY_MS = TICK_MS;
const CHANGE_MS = 10_000;

/** The group refuses a change of its members; the message says why. */
export class MembershipError extends Error {
  override readonly name = "MembershipError";
}

export interface GroupMembershipOptions {
  readonly driver: Driver;
  readonly self: Member;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Change {
  readonly step: ConfigStep;
  /** Whose names and addresses go with it. */
  readonly told: readonly Member[];
}

/** The members of the group, and changes of them while this store leads. */
export class GroupMembership implements Membership {
  readonly self: MemberId;
  readonly clusterId: string;
  readonly #options: GroupMembershipOptions;
  readonly #listeners = new Set<() => void>();
  /** How often in a row each learner was found caught up. */
  readonly #looks = new Map<MemberId, number>();
  #ticks = 0;
  #promoting = false;

  constructor(options: GroupMembershipOptions) {
    this.#options = options;
    this.self = options.self.id;
    this.clusterId = options.clusterId;
  }

  members(): readonly Member[] {
    return this.#options.driver.group.members;
  }

  status(): readonly MemberStatus[] {
    const { driver } = this.#options;
    const { leader, role, lastIndex, peers } = driver.status();
    const progress = new Map(peers.map((peer) => [peer.member, peer]));
    return this.members().map((member): MemberStatus => {
      const known = { ...member, leader: member.id === leader };
      if (role !== "leader") return known;
      if (member.id === this.self) return { ...known, reachable: true, lag: 0 };
      const peer = progress.get(member.id);
      const lag = Math.max(0, lastIndex - (peer?.match ?? 0));
      return { ...known, reachable: peer?.active ?? false, lag };
    });
  }

  async add(member: Member): Promise<void> {
    await this.#change(() => {
      const { group } = this.#options.driver;
      if (group.removed.includes(member.id)) {
        throw new MembershipError(
          `member ${member.id} was removed, and an id is never used twice: ` +
            "empty its directory and join it anew",
        );
      }
      const known = group.members.find(({ id }) => id === member.id);
      // Of a known one only the name and addresses change.
      const role = known?.role ?? (member.role === "witness" ? "witness" : "learner");
      return { step: { type: "add", member: member.id, role }, told: [{ ...member, role }] };
    });
  }

  async promote(id: MemberId): Promise<void> {
    await this.#change(() => {
      if (this.#find(id).role !== "learner") return "done";
      const { peers, lastIndex, role } = this.#options.driver.status();
      const peer = peers.find((progress) => progress.member === id);
      if (role === "leader" && !hasCaughtUp(peer, lastIndex)) {
        const lag = lastIndex - (peer?.match ?? 0);
        throw new MembershipError(`member ${id} is ${lag} entries behind and cannot vote yet`);
      }
      return { step: { type: "add", member: id, role: "voter" }, told: [] };
    });
  }

  async remove(id: MemberId): Promise<void> {
    await this.#change(() => {
      const { members, removed } = this.#options.driver.group;
      if (!members.some((member) => member.id === id) && removed.includes(id)) return "done";
      this.#find(id);
      const left = members.filter((member) => member.id !== id);
      if (!left.some((member) => member.role === "voter")) {
        throw new MembershipError(`member ${id} is the last that can lead: add another one first`);
      }
      return { step: { type: "remove", member: id }, told: [] };
    });
  }

  async transferLeadership(to?: MemberId): Promise<void> {
    const { driver, clock } = this.#options;
    const { leadership } = driver;
    if (!leadership.now.self) throw notLeaderError(leadership.now.leader ?? 0);
    const target = to ?? bestSuccessor(driver.status());
    if (target === undefined) throw new MembershipError("no other member can lead now");
    if (this.#find(target).role !== "voter") {
      throw new MembershipError(`member ${target} is no voter and cannot lead`);
    }
    if (target === this.self) return;
    const done = Promise.withResolvers<void>();
    const stop = leadership.listen(({ leader, self }) => {
      if (leader !== undefined && !self) done.resolve();
    });
    const cancel = clock.after(CHANGE_MS, () => {
      const message = `member ${target} did not take over leadership in ${CHANGE_MS} ms`;
      done.reject(new StoreError("unavailable", message));
    });
    try {
      driver.transferLeadership(target);
      await done.promise;
    } finally {
      stop();
      cancel();
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** With every tick of a group: the leader makes voters of learners that have caught up. */
  onTick(): void {
    this.#ticks += 1;
    if (this.#ticks % LOOK_TICKS !== 0 || this.#promoting) return;
    const { driver, logger } = this.#options;
    if (!driver.leadership.now.self) {
      this.#looks.clear();
      return;
    }
    const learners = this.members().filter((member) => member.role === "learner");
    if (learners.length === 0) return;
    const { peers, lastIndex } = driver.status();
    for (const { id } of learners) {
      const peer = peers.find((progress) => progress.member === id);
      const looks = hasCaughtUp(peer, lastIndex) ? (this.#looks.get(id) ?? 0) + 1 : 0;
      this.#looks.set(id, looks);
      if (looks < PROMOTION_LOOKS) continue;
      this.#looks.delete(id);
      this.#promoting = true;
      this.promote(id)
        .then(() => logger.info("a learner has caught up and votes", { member: id }))
        .catch((error: unknown) => logger.warn("no promotion", { error: String(error) }))
        .finally(() => {
          this.#promoting = false;
        });
      return;
    }
  }

  #find(id: MemberId): Member {
    const member = this.members().find((known) => known.id === id);
    if (member !== undefined) return member;
    const known = this.members().map((other) => other.id);
    throw new MembershipError(`there is no member ${id}; the members are ${known.join(", ")}`);
  }

  /** @param decide looks at the group anew each time: what was waited for has changed it */
  async #change(decide: () => Change | "done"): Promise<void> {
    const { driver, clock } = this.#options;
    const deadlineMs = clock.monotonic() + CHANGE_MS;
    for (;;) {
      const change = decide();
      if (change === "done") return;
      const result = driver.proposeConfig([change.step], change.told);
      if (result instanceof Promise) {
        await result;
        return;
      }
      if (result !== "busy") throw new MembershipError(result.reason);
      if (clock.monotonic() >= deadlineMs) {
        throw new StoreError("overloaded", "another change of the members does not come to an end");
      }
      await sleep(clock, BUSY_RETRY_MS);
    }
  }
}

function hasCaughtUp(peer: PeerProgress | undefined, lastIndex: number): boolean {
  // Who never answered is counted as active at first, and a young log is short.
  if (peer === undefined || !peer.active || peer.state !== "replicate") return false;
  return lastIndex - peer.match <= PROMOTION_LAG;
}
