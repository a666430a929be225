import { randomInteger } from "../lib/index.ts";
import type { CancelTimer, Clock, Random } from "../lib/index.ts";
import type { MemberId, RaftCore } from "../raft/index.ts";
import { TICK_MS } from "./ticker.ts";

/** So many ticks after the leader's connection broke a follower campaigns, at random. */
const MAX_DELAY_TICKS = 3;
/** The core's election timeout: what the leader's last message is good for. */
const ELECTION_TICKS = 10;

/**
 * A broken connection tells of a dead leader long before its silence does. The follower then lets
 * its trust in the leader run out at once, so that it grants others their pre-votes, and campaigns
 * a moment later. Where the leader lives and only the connection died, the others refuse the
 * pre-vote, and nothing has changed.
 */
export class ElectionHurry {
  readonly #options: {
    readonly core: RaftCore;
    readonly clock: Clock;
    readonly random: Random;
    readonly kick: () => void;
  };
  #cancel: CancelTimer | undefined;

  constructor(options: {
    readonly core: RaftCore;
    readonly clock: Clock;
    readonly random: Random;
    readonly kick: () => void;
  }) {
    this.#options = options;
  }

  peerDown(peer: MemberId): void {
    const { core, clock, random, kick } = this.#options;
    if (core.role !== "follower" || core.leader !== peer || this.#cancel !== undefined) return;
    const { term } = core;
    const delayMs = randomInteger(random, MAX_DELAY_TICKS * TICK_MS);
    for (let tick = 0; tick < ELECTION_TICKS; tick++) core.tick();
    this.#cancel = clock.after(delayMs, () => {
      this.#cancel = undefined;
      const same = core.term === term && core.role === "follower";
      if (same && (core.leader === 0 || core.leader === peer)) core.campaign();
      kick();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
