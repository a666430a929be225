import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import type { Member, Store } from "../store/index.ts";
import { CLUSTER_PATH } from "./join-wire.ts";

export interface ServerPorts {
  readonly peer: number;
  readonly api: number;
}

export interface AnnounceOptions {
  readonly store: Pick<Store, "leadership" | "membership">;
  /** Where this server listens now; its hosts do not change. */
  readonly ports: ServerPorts;
  /** Tells a server's API; whether it was taken down. */
  readonly tell: (apiAddress: string, self: Member) => Promise<boolean>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const LOOK_INTERVAL_MS = 2_000;
const TELL_TIMEOUT_MS = 5_000;

/**
 * Tells the cluster when this server listens elsewhere than the cluster knows, after its ports
 * were changed. A leader writes that down by itself; the others ask one who can reach the leader.
 */
export async function announceAddress(options: AnnounceOptions): Promise<void> {
  const { store, ports, tell, clock, signal } = options;
  while (!signal.aborted) {
    const members = store.membership.members();
    const known = members.find((member) => member.id === store.membership.self);
    const self = known === undefined ? undefined : withPorts(known, ports);
    if (known !== undefined && self !== undefined) {
      if (sameAddress(known, self)) return;
      const others = members.filter((other) => other.id !== self.id && other.apiAddress !== "");
      for (const other of store.leadership.self ? [] : others) {
        if (await tell(other.apiAddress, self)) break;
      }
    }
    await sleep(clock, LOOK_INTERVAL_MS, signal);
  }
}

/** The member with its hosts as they were, and these ports. */
export function withPorts(member: Member, { peer, api }: ServerPorts): Member {
  const { peerAddress, apiAddress } = member;
  return {
    ...member,
    peerAddress: peerAddress.replace(/:\d+$/, `:${peer}`),
    apiAddress: apiAddress.replace(/:\d+$/, `:${api}`),
  };
}

function sameAddress(one: Member, other: Member): boolean {
  return one.peerAddress === other.peerAddress && one.apiAddress === other.apiAddress;
}

/** Speaks to the API of another server, whose certificate the cluster's authority signed. */
export function tellAddressWith(options: {
  readonly ca: string;
  readonly adminToken: string;
  readonly logger: Logger;
}): AnnounceOptions["tell"] {
  return async (apiAddress, { id, peerAddress, apiAddress: own }) => {
    try {
      const response = await fetch(`${apiAddress}${CLUSTER_PATH}/members/${id}/address`, {
        method: "POST",
        headers: { authorization: `Bearer ${options.adminToken}` },
        body: JSON.stringify({ peerAddress, apiAddress: own }),
        tls: { ca: options.ca },
        redirect: "error",
        signal: AbortSignal.timeout(TELL_TIMEOUT_MS),
      });
      return response.ok;
    } catch (error) {
      options.logger.debug("a server was not told of this one's address", {
        server: apiAddress,
        error: error instanceof Error ? error.message : String(error),
      });
      return false;
    }
  };
}
