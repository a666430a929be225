import type { NetworkPolicy } from "./types.ts";

/** Without policy types, a policy is about what comes in, and about what goes out if it says so. */
export function defaultNetworkPolicy(policy: NetworkPolicy): void {
  const spec = (policy.spec ??= {});
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
    for (const port of rule.ports ?? []) port.protocol ??= "TCP";
  }
  if ((spec.policyTypes?.length ?? 0) === 0) {
    const egress = (spec.egress?.length ?? 0) > 0;
    spec.policyTypes = egress ? ["Ingress", "Egress"] : ["Ingress"];
  }
}
