import { parseQuantity } from "../apimachinery/index.ts";
import type { Container, Pod } from "../api/index.ts";

/** Amounts by resource name: `cpu` in thousandths of a core, everything else in whole units. */
export type Resources = ReadonlyMap<string, number>;

/** Requests assumed for scoring when a container has none, so that such pods spread too. */
const ASSUMED_REQUESTS: readonly (readonly [string, number])[] = [
  ["cpu", 100],
  ["memory", 200 * 1024 * 1024],
];

/** Reads a list of quantities; what is no quantity counts as nothing. */
export function resourcesOf(list: Readonly<Record<string, string>> | undefined): Resources {
  const amounts = new Map<string, number>();
  for (const [name, text] of Object.entries(list ?? {})) amounts.set(name, amountOf(name, text));
  return amounts;
}

function amountOf(name: string, text: string): number {
  try {
    const quantity = parseQuantity(text);
    return name === "cpu" ? quantity.milliValue() : quantity.value();
  } catch {
    return 0; // The API server refuses such text; a node's status may still hold it.
  }
}

/**
 * What a pod takes from its node: all containers and side-cars together, or the largest single
 * init container with the side-cars started before it, whichever is more; plus the overhead. What
 * the pod as a whole requests stands over what its containers say.
 */
export function podRequests(pod: Pod): Resources {
  return requestsWith(pod, (container) => resourcesOf(container.resources?.requests));
}

/** {@link podRequests} with something for containers that request nothing. */
export function podScoringRequests(pod: Pod): Resources {
  return requestsWith(pod, (container) => {
    const requests = new Map(resourcesOf(container.resources?.requests));
    for (const [name, amount] of ASSUMED_REQUESTS) {
      if (!requests.has(name)) requests.set(name, amount);
    }
    return requests;
  });
}

function requestsWith(pod: Pod, requestsOf: (container: Container) => Resources): Resources {
  const running = new Map<string, number>();
  for (const container of pod.spec?.containers ?? []) add(running, requestsOf(container));
  const sidecars = new Map<string, number>();
  const starting = new Map<string, number>();
  for (const container of pod.spec?.initContainers ?? []) {
    const requests = requestsOf(container);
    if (container.restartPolicy === "Always") {
      add(running, requests);
      add(sidecars, requests);
      raise(starting, sidecars);
    } else {
      const together = new Map(sidecars);
      add(together, requests);
      raise(starting, together);
    }
  }
  raise(running, starting);
  for (const [name, amount] of resourcesOf(pod.spec?.resources?.requests))
    running.set(name, amount);
  add(running, resourcesOf(pod.spec?.overhead));
  return running;
}

/** Adds amounts to a running sum. */
export function add(sum: Map<string, number>, amounts: Resources): void {
  for (const [name, amount] of amounts) sum.set(name, (sum.get(name) ?? 0) + amount);
}

/** Takes amounts from a running sum. */
export function subtract(sum: Map<string, number>, amounts: Resources): void {
  for (const [name, amount] of amounts) sum.set(name, (sum.get(name) ?? 0) - amount);
}

function raise(floor: Map<string, number>, amounts: Resources): void {
  for (const [name, amount] of amounts) floor.set(name, Math.max(floor.get(name) ?? 0, amount));
}
