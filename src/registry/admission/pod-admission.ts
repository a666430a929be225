import {
  type Pod,
  type PodSpec,
  PRIORITY_CLASSES,
  RUNTIME_CLASSES,
  type Toleration,
} from "../../api/index.ts";
import { forbidden, type KubeObject, type StatusError } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import { admitServiceAccount } from "./service-account.ts";

const PODS = { group: "", resource: "pods" };
const DEFAULT_PREEMPTION = "PreemptLowerPriority";

/** How many seconds pods stay on a node that fails, unless they say otherwise. */
export interface DefaultTolerations {
  readonly notReady: number;
  readonly unreachable: number;
}

/** What pods are given unless they say otherwise. */
export interface PodDefaults extends DefaultTolerations {
  /** Whether programs find a token of their account; absent where the API issues none. */
  readonly accountTokens?: "mounted";
}

/** As in Kubernetes. */
export const DEFAULT_TOLERATIONS: DefaultTolerations = { notReady: 300, unreachable: 300 };

/** Fills in what a pod takes over from the cluster: its account, priority and runtime's needs. */
export function admitPod(object: KubeObject, lookup: Lookup, defaults: PodDefaults): void {
  const pod = object as Pod;
  const spec = pod.spec;
  // Without a spec there is nothing to complete; validation says what is missing.
  if (spec === undefined) return;
  admitServiceAccount(pod, spec, lookup, defaults);
  admitPriority(pod, spec, lookup);
  admitRuntimeClass(pod, spec, lookup);
  tolerateNodeProblems(spec, defaults);
}

function admitPriority(pod: Pod, spec: PodSpec, lookup: Lookup): void {
  const name = spec.priorityClassName ?? "";
  const priorityClass =
    name === ""
      ? lookup.all(PRIORITY_CLASSES, "").find((candidate) => candidate.globalDefault === true)
      : lookup.find(PRIORITY_CLASSES, "", name);
  if (name !== "" && priorityClass === undefined) {
    throw refuse(pod, `no PriorityClass with name ${name} was found`);
  }
  const priority = priorityClass?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== priority) {
    throw refuse(
      pod,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; ` +
        `priority admission controller computed ${priority} from the given PriorityClass name`,
    );
  }
  if (priorityClass?.metadata.name !== undefined) {
    spec.priorityClassName = priorityClass.metadata.name;
  }
  spec.priority = priority;
  spec.preemptionPolicy ??= priorityClass?.preemptionPolicy ?? DEFAULT_PREEMPTION;
}

function admitRuntimeClass(pod: Pod, spec: PodSpec, lookup: Lookup): void {
  const name = spec.runtimeClassName ?? "";
  if (name === "") return;
  const runtimeClass = lookup.find(RUNTIME_CLASSES, "", name);
  if (runtimeClass === undefined) {
    throw refuse(pod, `pod rejected: RuntimeClass "${name}" not found`);
  }
  const { overhead, scheduling } = runtimeClass;
  if (overhead?.podFixed !== undefined) spec.overhead ??= { ...overhead.podFixed };
  if (scheduling?.nodeSelector !== undefined) {
    spec.nodeSelector = { ...spec.nodeSelector, ...scheduling.nodeSelector };
  }
  if (scheduling?.tolerations !== undefined) {
    spec.tolerations = [...(spec.tolerations ?? []), ...scheduling.tolerations];
  }
}

/** A pod outlives a short failure of its node unless it says otherwise. */
function tolerateNodeProblems(spec: PodSpec, { notReady, unreachable }: DefaultTolerations): void {
  const tolerations = spec.tolerations ?? [];
  const problems: [string, number][] = [
    ["node.kubernetes.io/not-ready", notReady],
    ["node.kubernetes.io/unreachable", unreachable],
  ];
  const missing = problems.filter(([key]) => !tolerations.some((one) => covers(one, key)));
  if (missing.length === 0) return;
  const added = missing.map(([key, tolerationSeconds]) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds,
  }));
  spec.tolerations = [...tolerations, ...added];
}

function covers(toleration: Toleration, key: string): boolean {
  const sameKey = (toleration.key ?? "") === "" || toleration.key === key;
  const sameEffect = (toleration.effect ?? "") === "" || toleration.effect === "NoExecute";
  return sameKey && sameEffect;
}

function refuse(pod: Pod, why: string): StatusError {
  return forbidden(PODS, pod.metadata.name ?? pod.metadata.generateName ?? "", why);
}
