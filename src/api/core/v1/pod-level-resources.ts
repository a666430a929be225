import { parseQuantity, type Quantity } from "../../../apimachinery/index.ts";
import type { Container, PodSpec } from "./types.ts";

const POD_LEVEL = ["cpu", "memory"] as const;

/**
 * Completes the requests of a pod that has resources as a whole: what its containers request
 * together, else what the pod is limited to. Quantities have been checked by the decoder.
 */
export function defaultPodLevelRequests(spec: PodSpec): void {
  const resources = spec.resources;
  if (resources === undefined) return;
  const requests: Record<string, string> = { ...resources.limits };
  for (const name of POD_LEVEL) {
    const needed = neededByContainers(spec, name);
    if (needed !== undefined) requests[name] = needed.toString();
  }
  Object.assign(requests, resources.requests);
  if (Object.keys(requests).length > 0) resources.requests = requests;
}

/** The greater of what runs for good, and of each init container with the sidecars before it. */
function neededByContainers(spec: PodSpec, name: string): Quantity | undefined {
  let sidecars: Quantity | undefined;
  let initializing: Quantity | undefined;
  for (const container of spec.initContainers ?? []) {
    const together = sum(sidecars, requestOf(container, name));
    initializing = greater(initializing, together);
    if (container.restartPolicy === "Always") sidecars = together;
  }
  const running = (spec.containers ?? []).reduce<Quantity | undefined>(
    (total, container) => sum(total, requestOf(container, name)),
    sidecars,
  );
  return greater(initializing, running);
}

function requestOf(container: Container, name: string): Quantity | undefined {
  const text = container.resources?.requests?.[name];
  return text === undefined ? undefined : parseQuantity(text);
}

function sum(left: Quantity | undefined, right: Quantity | undefined): Quantity | undefined {
  return left === undefined || right === undefined ? (left ?? right) : left.add(right);
}

function greater(left: Quantity | undefined, right: Quantity | undefined): Quantity | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return left.compare(right) < 0 ? right : left;
}
