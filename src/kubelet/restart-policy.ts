import type { Container, Pod } from "../api/index.ts";
import { isSidecar } from "./pod-runtime-state.ts";

/**
 * Whether a container that ended so begins anew: by a rule of its own that knows the exit code,
 * else by its own policy, else by the pod's. Init containers that succeeded do not, whatever the
 * policy.
 */
export function restartsAfter(pod: Pod, container: Container, exitCode: number): boolean {
  const isInit = (pod.spec?.initContainers ?? []).includes(container);
  if (isInit && isSidecar(container)) return true;
  if (isInit && exitCode === 0) return false;
  if (followsRule(container, exitCode)) return true;
  switch (policyOf(pod, container)) {
    case "Never":
      return false;
    case "OnFailure":
      return exitCode !== 0;
    default:
      return true;
  }
}

/** Whether a container that is killed for its health comes back. */
export function isEverRestarted(pod: Pod, container: Container): boolean {
  return policyOf(pod, container) !== "Never" || (container.restartPolicyRules ?? []).length > 0;
}

function policyOf(pod: Pod, container: Container): string {
  return container.restartPolicy ?? pod.spec?.restartPolicy ?? "Always";
}

function followsRule({ restartPolicyRules = [] }: Container, exitCode: number): boolean {
  return restartPolicyRules.some(({ action, exitCodes }) => {
    if (action !== "Restart" || exitCodes === undefined) return false;
    const isListed = (exitCodes.values ?? []).includes(exitCode);
    return exitCodes.operator === "NotIn" ? !isListed : isListed;
  });
}
