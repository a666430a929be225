import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import type { MemberId, Membership, Store } from "../store/index.ts";
import { CLUSTER_PATH, memberListSchema } from "./join-wire.ts";
import type { MemberList } from "./join-wire.ts";

export interface RemovalWatchOptions {
  readonly store: Pick<Store, "leadership" | "membership">;
  /** The members as another server's API tells; undefined when it does not. */
  readonly ask: (apiAddress: string) => Promise<MemberList | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called once, when the cluster goes on without this server. */
  readonly onRemoved: () => void;
}

const LOOK_INTERVAL_MS = 3_000;
/** A leader may be behind its own log for a moment: one answer is not enough. */
const ANSWERS_NEEDED = 2;
const ASK_TIMEOUT_MS = 2_000;

/**
 * Finds out that this server was removed while it was down: nobody tells it, because nobody talks
 * to it any more. While it knows no leader it asks the others, as an administrator would.
 */
export async function watchForRemoval(options: RemovalWatchOptions): Promise<void> {
  const { store, clock, signal, onRemoved } = options;
  let answers = 0;
  for (;;) {
    await sleep(clock, LOOK_INTERVAL_MS, signal);
    if (signal.aborted) return;
    const alone = store.leadership.leader === undefined;
    answers = alone && (await isRemoved(options)) ? answers + 1 : 0;
    if (signal.aborted) return;
    if (answers < ANSWERS_NEEDED) continue;
    onRemoved();
    return;
  }
}

async function isRemoved({ store, ask }: RemovalWatchOptions): Promise<boolean> {
  const { membership } = store;
  const { self } = membership;
  const others = membership
    .members()
    .filter((member) => member.id !== self && member.apiAddress !== "");
  const lists = await Promise.all(others.map((member) => ask(member.apiAddress)));
  return lists.some((list) => list !== undefined && tellsRemoval(list, membership));
}

/** Only a leader's list counts: it alone says of itself that it is reachable. */
function tellsRemoval(list: MemberList, { clusterId, self }: Membership): boolean {
  const led = list.members.some((member) => member.leader && member.reachable === true);
  return led && list.clusterId === clusterId && !isListed(list, self);
}

function isListed(list: MemberList, id: MemberId): boolean {
  return list.members.some((member) => member.id === id);
}

/** Asks the API of another server, whose certificate the cluster's authority signed. */
export function askMembersWith(options: {
  readonly ca: string;
  readonly adminToken: string;
  readonly logger: Logger;
}): RemovalWatchOptions["ask"] {
  return async (apiAddress) => {
    try {
      const response = await fetch(`${apiAddress}${CLUSTER_PATH}/members`, {
        headers: { authorization: `Bearer ${options.adminToken}` },
        tls: { ca: options.ca },
        redirect: "error",
        signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
      });
      return response.ok ? memberListSchema.parse(await response.json()) : undefined;
    } catch (error) {
      options.logger.debug("a server did not list the members", {
        server: apiAddress,
        error: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  };
}
