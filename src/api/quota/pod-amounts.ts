import type { Quantity } from "../../apimachinery/index.ts";
import type { Container, Pod } from "../core/v1/types.ts";
import {
  addAmounts,
  amountsFrom,
  raiseAmounts,
  readQuantity,
  type ResourceAmounts,
} from "./resource-amounts.ts";

/**
 * What a pod as a whole requests or is limited to: its containers and side-cars together, or the
 * largest init container with the side-cars started before it, whichever is more; plus the
 * overhead. What the pod itself says stands over what its containers say.
 */
export function podAmounts(pod: Pod, side: "requests" | "limits"): ResourceAmounts {
  const { spec } = pod;
  const amountsOf = ({ resources }: Container): ResourceAmounts => amountsFrom(resources?.[side]);
  const running = new Map<string, Quantity>();
  for (const container of spec?.containers ?? []) addAmounts(running, amountsOf(container));
  const sidecars = new Map<string, Quantity>();
  const starting = new Map<string, Quantity>();
  for (const container of spec?.initContainers ?? []) {
    const together = new Map(sidecars);
    addAmounts(together, amountsOf(container));
    raiseAmounts(starting, together);
    if (container.restartPolicy !== "Always") continue;
    addAmounts(running, amountsOf(container));
    addAmounts(sidecars, amountsOf(container));
  }
  raiseAmounts(running, starting);
  for (const [name, amount] of amountsFrom(spec?.resources?.[side])) running.set(name, amount);
  for (const [name, amount] of amountsFrom(spec?.overhead)) {
    // An overhead limits nothing that is not limited otherwise.
    const present = running.get(name);
    if (side === "requests" || present !== undefined) {
      running.set(name, present?.add(amount) ?? amount);
    }
  }
  return running;
}

/** True when neither the pod nor any container requests or limits cpu or memory. */
export function isBestEffort({ spec }: Pod): boolean {
  const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), { ...spec }];
  return !all.some(({ resources }) =>
    [resources?.requests, resources?.limits].some((list) =>
      ["cpu", "memory"].some((name) => (readQuantity(list?.[name])?.nanos ?? 0n) > 0n),
    ),
  );
}
