import type { Lease } from "../api/index.ts";
import { rfc3339Micro } from "../apimachinery/index.ts";
import { isNotFound, LEASES } from "../client/index.ts";
import type { Client } from "../client/index.ts";

const NAMESPACE = "kube-system";
const NAMES = ["kube-controller-manager", "kube-scheduler"];
const LEASE_DURATION_SECONDS = 15;

/**
 * Shows in Kubernetes' own Leases who runs the controllers and the scheduler. They are written once
 * a term and bind nobody: what counts is the term of the log.
 */
export async function showLeaderLeases(
  client: Client,
  leader: { readonly holder: string; readonly nowMs: number },
): Promise<void> {
  const leases = client.resource(LEASES, NAMESPACE);
  const time = rfc3339Micro(leader.nowMs);
  for (const name of NAMES) {
    const present = await leases.get(name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const changed = present?.spec?.holderIdentity !== leader.holder;
    const transitions = (present?.spec?.leaseTransitions ?? -1) + (changed ? 1 : 0);
    const spec: Lease["spec"] = {
      holderIdentity: leader.holder,
      leaseDurationSeconds: LEASE_DURATION_SECONDS,
      leaseTransitions: transitions,
      acquireTime: changed ? time : (present.spec?.acquireTime ?? time),
      renewTime: time,
    };
    if (present === undefined) await leases.create({ metadata: { name }, spec });
    else await leases.update({ ...present, spec });
  }
}
