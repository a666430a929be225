import {
  type Pod,
  type PodSpec,
  PRIORITY_CLASSES,
  RUNTIME_CLASSES,
  SERVICE_ACCOUNTS,
  type Toleration,
} from "../../api/index.ts";
import { forbidden, type KubeObject, type StatusError } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";

const PODS = { group: "", resource: "pods" };
const DEFAULT_ACCOUNT = "default";
const DEFAULT_PREEMPTION = "PreemptLowerPriority";

/** How many seconds pods stay on a node that fails, unless they say otherwise. */
export interface DefaultTolerations {
  readonly notReady: number;
  readonly unreachable: number;
}

/** As in Kubernetes. */
export const DEFAULT_TOLERATIONS: DefaultTolerations = { notReady: 300, unreachable: 300 };

/** Fills in what a pod takes over from the cluster: its account, priority and runtime's needs. */
export function admitPod(
  object: KubeObject,
  lookup: Lookup,
  tolerations: DefaultTolerations,
): void {
  const pod = object as Pod;
  const spec = pod.spec;
  // Without a spec there is nothing to complete; validation says what is missing.
  if (spec === undefined) return;
  admitServiceAccount(pod, spec, lookup);
  admitPriority(pod, spec, lookup);
  admitRuntimeClass(pod, spec, lookup);
  tolerateNodeProblems(spec, tolerations);
}

function admitServiceAccount(pod: Pod, spec: PodSpec, lookup: Lookup): void {
  spec.serviceAccountName ||= DEFAULT_ACCOUNT;
  spec.serviceAccount = spec.serviceAccountName;
  const { name, namespace = "" } = { ...pod.metadata, name: spec.serviceAccountName };
  const account = lookup.find(SERVICE_ACCOUNTS, namespace, name);
  if (account !== undefined) {
    spec.imagePullSecrets ??= account.imagePullSecrets?.map((secret) => ({ ...secret })) ?? [];
    if (spec.imagePullSecrets.length === 0) delete spec.imagePullSecrets;
    return;
  }
  // Its controller makes the default account a moment after the namespace: no reason to refuse.
  if (name === DEFAULT_ACCOUNT) return;
  const missing = `serviceaccount "${name}" not found`;
  throw refuse(pod, `error looking up service account ${namespace}/${name}: ${missing}`);
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
