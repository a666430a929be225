import {
  amountsFrom,
  type Container,
  LIMIT_RANGES,
  type LimitRange,
  type LimitRangeItem,
  type PersistentVolumeClaim,
  type Pod,
  podAmounts,
  readQuantity,
  type ResourceAmounts,
} from "../../api/index.ts";
import { forbidden, type KubeObject } from "../../apimachinery/index.ts";
import { type AdmissionPlugin, type AdmittedWrite, refusedName } from "./admission-plugin.ts";
import { limitViolations } from "./limit-violations.ts";

/** What the plugin did, for people to see where a limit came from. */
const ANNOTATION = "kubernetes.io/limit-ranger";

/** Gives containers the limits of their namespace, and holds pods and claims to its bounds. */
export const limitRanger: AdmissionPlugin = {
  name: "LimitRanger",
  kinds: new Set(["pods", "persistentvolumeclaims"]),
  complete: (write) => {
    if (write.definition.kind !== "Pod") return;
    for (const range of rangesFor(write)) completePod(write.object, range);
  },
  judge: (write) => {
    // What a pod requests stays as it was created.
    const isPod = write.definition.kind === "Pod";
    if (write.scope !== "object" || (isPod && write.old !== undefined)) return;
    for (const range of rangesFor(write)) {
      const violations = range.spec?.limits.flatMap((item) => violationsOf(write.object, item));
      const texts = [...new Set(violations)];
      if (texts.length === 0) continue;
      const why = texts.length === 1 ? (texts[0] ?? "") : `[${texts.join(", ")}]`;
      throw forbidden(write.definition, refusedName(write.object), why);
    }
  },
};

function rangesFor({ object, lookup }: AdmittedWrite): readonly Readonly<LimitRange>[] {
  const ranges = lookup.all(LIMIT_RANGES, object.metadata.namespace ?? "");
  return ranges.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

function completePod(pod: Pod, { spec }: Readonly<LimitRange>): void {
  const notes: string[] = [];
  const items = (spec?.limits ?? []).filter(({ type }) => type === "Container");
  for (const { default: limits = {}, defaultRequest: requests = {} } of items) {
    for (const container of pod.spec?.containers ?? []) {
      notes.push(...completeContainer(container, { limits, requests }, "container"));
    }
    for (const container of pod.spec?.initContainers ?? []) {
      notes.push(...completeContainer(container, { limits, requests }, "init container"));
    }
  }
  if (notes.length === 0) return;
  const before = pod.metadata.annotations?.[ANNOTATION];
  const told = before === undefined ? "LimitRanger plugin set: " : `${before}; `;
  const text = told + notes.join("; ");
  pod.metadata.annotations = { ...pod.metadata.annotations, [ANNOTATION]: text };
}

function completeContainer(
  container: Container,
  defaults: Readonly<Record<"limits" | "requests", Readonly<Record<string, string>>>>,
  what: string,
): string[] {
  const notes: string[] = [];
  for (const side of ["requests", "limits"] as const) {
    const present = container.resources?.[side] ?? {};
    const missing = Object.keys(defaults[side]).filter((name) => present[name] === undefined);
    if (missing.length === 0) continue;
    container.resources = {
      ...container.resources,
      [side]: { ...defaults[side], ...present },
    };
    const noun = side === "requests" ? "request" : "limit";
    notes.push(`${missing.sort().join(", ")} ${noun} for ${what} ${container.name}`);
  }
  return notes;
}

function violationsOf(object: Readonly<KubeObject>, item: LimitRangeItem): string[] {
  if (object.kind === "PersistentVolumeClaim") {
    if (item.type !== "PersistentVolumeClaim") return [];
    const { spec } = object as PersistentVolumeClaim;
    const requests = amountsFrom(spec?.resources?.requests);
    return limitViolations(item, { requests, limits: undefined });
  }
  const pod = object as Pod;
  if (item.type === "Container") {
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    return all.flatMap(({ resources }) =>
      limitViolations(item, {
        requests: amountsFrom(resources?.requests),
        limits: amountsFrom(resources?.limits),
      }),
    );
  }
  if (item.type !== "Pod") return [];
  const sides = { requests: podAmounts(pod, "requests"), limits: wholeLimits(pod) };
  return limitViolations(item, sides);
}

/** A pod is limited in what each of its containers, or itself, is limited in. */
function wholeLimits(pod: Pod): ResourceAmounts {
  const containers = pod.spec?.containers ?? [];
  const own = pod.spec?.resources?.limits ?? {};
  const limits = [...podAmounts(pod, "limits")];
  return new Map(
    limits.filter(
      ([name]) =>
        own[name] !== undefined ||
        containers.every(({ resources }) => readQuantity(resources?.limits?.[name]) !== undefined),
    ),
  );
}
