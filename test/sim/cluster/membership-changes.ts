import { StoreError } from "../../../src/store/index.ts";
import type { Prng } from "../core/prng.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import { memberOf } from "./cluster-template.ts";
import { SimServer } from "./sim-server.ts";
import type { Surroundings } from "./sim-server.ts";

const MOST_SERVERS = 5;
const FEWEST_VOTERS = 3;

export interface ChangeParts {
  readonly prng: Prng;
  readonly statistics: ClusterStatistics;
  readonly servers: () => readonly SimServer[];
  readonly note: (text: string) => void;
  /** Every machine there ever was; newcomers are added. */
  readonly all: SimServer[];
  readonly around: Surroundings;
}

/** What operators do with the members: add, remove, hand leadership over. */
export class MembershipChanges {
  readonly #parts: ChangeParts;

  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /** Changes something by whoever leads; a refusal by the group is fine. */
  async change(): Promise<void> {
    const { prng, servers } = this.#parts;
    const leader = servers().find(({ store }) => store?.leadership.self === true);
    if (leader?.store === undefined) return;
    const dice = prng.below(100);
    try {
      if (dice < 40) await this.#transfer(leader);
      else if (dice < 75) await this.#add(leader);
      else await this.#remove(leader);
    } catch (error) {
      // The group is busy, or its leader was lost: operators try again another day.
      const refusal = error instanceof StoreError || isMembershipError(error);
      if (!refusal) throw error;
      this.#parts.note(`${leader.member.name} refuses: ${error.message}`);
    }
  }

  async #transfer(leader: SimServer): Promise<void> {
    this.#parts.statistics.count("leadership transfer");
    this.#parts.note(`${leader.member.name} is to hand over`);
    await leader.store?.membership.transferLeadership();
  }

  async #add(leader: SimServer): Promise<void> {
    const { all, around, note, statistics } = this.#parts;
    const { store } = leader;
    if (store === undefined || all.length >= MOST_SERVERS) return;
    const server = new SimServer(memberOf(all.length + 1), around);
    all.push(server);
    note(`${leader.member.name} adds ${server.member.name}`);
    // It does not run before it is admitted, and counts as removed until then.
    server.removed = true;
    await store.membership.add({ ...server.member, role: "learner" });
    statistics.count("server added");
    server.removed = false;
    server.start({ type: "join", members: store.membership.members() });
  }

  async #remove(leader: SimServer): Promise<void> {
    const { note, prng, servers, statistics } = this.#parts;
    const { store } = leader;
    const voters = store?.membership.members().filter(({ role }) => role === "voter") ?? [];
    if (store === undefined || voters.length <= FEWEST_VOTERS) return;
    const gone = prng.pick(servers());
    if (gone === undefined) return;
    note(`${leader.member.name} removes ${gone.member.name}`);
    await store.membership.remove(gone.member.id);
    statistics.count("server removed");
    gone.removed = true;
    await gone.crash("kill", { torn: false });
  }
}

function isMembershipError(error: unknown): error is Error {
  return error instanceof Error && error.name === "MembershipError";
}
