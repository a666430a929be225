import type { Logger } from "../lib/index.ts";
import { FEATURE_LEVEL } from "../mvcc/index.ts";
import type { Driver } from "./driver.ts";
import type { GroupMembership } from "./group-membership.ts";
import type { Member } from "./store.ts";
import type { StoreState } from "./store-state.ts";

/**
 * What a leader sees to first in its term: that the state has the level of this version, that the
 * log says who the group is (its founder alone, at first), and that its own address is right.
 */
export class Founding {
  readonly #options: {
    readonly driver: Driver;
    readonly membership: GroupMembership;
    readonly state: StoreState;
    readonly self: Member;
    readonly logger: Logger;
  };

  constructor(options: {
    readonly driver: Driver;
    readonly membership: GroupMembership;
    readonly state: StoreState;
    readonly self: Member;
    readonly logger: Logger;
  }) {
    this.#options = options;
  }

  /** Now, where this member leads already, and with each term of its own. */
  async begin(): Promise<void> {
    const { leadership } = this.#options.driver;
    if (leadership.now.self) await this.#attempt();
    leadership.listen(({ self }) => {
      if (self) void this.#attempt();
    });
  }

  async #attempt(): Promise<void> {
    const { driver, membership, state, self, logger } = this.#options;
    try {
      if (state.machine.featureLevel < FEATURE_LEVEL) {
        await driver.propose({ type: "feature-level", level: FEATURE_LEVEL });
      }
      const known = driver.group.members.find((member) => member.id === self.id);
      const same =
        known?.name === self.name &&
        known.peerAddress === self.peerAddress &&
        known.apiAddress === self.apiAddress;
      if (state.group === undefined || !same) await membership.add(self);
    } catch (error) {
      // The next term's leader does it, or this one's next.
      logger.debug("the group was not written down", { error: String(error) });
    }
  }
}
