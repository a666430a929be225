import {
  type Pod,
  type PodSpec,
  PRIORITY_CLASSES,
  type PriorityClass,
  RUNTIME_CLASSES,
  type Toleration,
} from "../../api/index.ts";
import { forbidden, jsonEquals, type StatusError } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import type { AdmissionPlugin, AdmittedWrite } from "./admission-plugin.ts";
import type { DefaultTolerations } from "./pod-defaults.ts";
import { admitServiceAccount } from "./service-account.ts";

const PODS = { group: "", resource: "pods" };
const DEFAULT_PREEMPTION = "PreemptLowerPriority";

const POD_KIND: ReadonlySet<string> = new Set(["pods"]);

/** Gives a pod its account and what comes with it. */
export const serviceAccount = podPlugin("ServiceAccount", (pod, spec, { lookup, defaults }) => {
  admitServiceAccount(pod, spec, lookup, defaults);
});

/** Turns the name of a PriorityClass into a number. */
export const priority = podPlugin("Priority", (pod, spec, { lookup }) => {
  admitPriority(pod, spec, lookup);
});

/** A pod outlives a short failure of its node unless it says otherwise. */
export const defaultTolerationSeconds = podPlugin(
  "DefaultTolerationSeconds",
  (_pod, spec, { defaults }) => tolerateNodeProblems(spec, defaults),
);

/** Gives a pod what its RuntimeClass costs and where that runs. */
export const runtimeClass = podPlugin("RuntimeClass", (pod, spec, { lookup }) => {
  admitRuntimeClass(pod, spec, lookup);
});

function podPlugin(
  name: string,
  complete: (pod: Pod, spec: PodSpec, write: AdmittedWrite) => void,
): AdmissionPlugin {
  return {
    name,
    kinds: POD_KIND,
    complete: (write) => {
      const pod = write.object as Pod;
      // Without a spec there is nothing to complete; validation says what is missing.
      if (pod.spec !== undefined) complete(pod, pod.spec, write);
    },
  };
}

function admitPriority(pod: Pod, spec: PodSpec, lookup: Lookup): void {
  const name = spec.priorityClassName ?? "";
  const priorityClass =
    name === "" ? globalDefault(lookup) : lookup.find(PRIORITY_CLASSES, "", name);
  if (name !== "" && priorityClass === undefined) {
    throw refuse(pod, `no PriorityClass with name ${name} was found`);
  }
  const value = priorityClass?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refuse(
      pod,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; ` +
        `priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  if (priorityClass?.metadata.name !== undefined) {
    spec.priorityClassName = priorityClass.metadata.name;
  }
  spec.priority = value;
  const policy = priorityClass?.preemptionPolicy ?? DEFAULT_PREEMPTION;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw refuse(
      pod,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in ` +
        `pod spec; priority admission controller computed ${policy} from the given ` +
        "PriorityClass name",
    );
  }
  spec.preemptionPolicy = policy;
}

/** Should there be several for a moment, the lowest: nobody is favoured by mistake. */
function globalDefault(lookup: Lookup): Readonly<PriorityClass> | undefined {
  return lookup
    .all(PRIORITY_CLASSES, "")
    .filter((candidate) => candidate.globalDefault === true)
    .sort((left, right) => (left.value ?? 0) - (right.value ?? 0))[0];
}

function admitRuntimeClass(pod: Pod, spec: PodSpec, lookup: Lookup): void {
  const name = spec.runtimeClassName ?? "";
  if (name === "") return;
  const found = lookup.find(RUNTIME_CLASSES, "", name);
  if (found === undefined) throw refuse(pod, `pod rejected: RuntimeClass "${name}" not found`);
  const { overhead, scheduling } = found;
  if (overhead?.podFixed !== undefined) spec.overhead ??= { ...overhead.podFixed };
  for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
    const present = spec.nodeSelector?.[key];
    if (present !== undefined && present !== value) {
      const both = `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}`;
      throw refuse(pod, `${both}; pod.spec.nodeSelector[${key}] = ${present}`);
    }
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  const own = spec.tolerations ?? [];
  const more = (scheduling?.tolerations ?? []).filter(
    (toleration) => !own.some((one) => jsonEquals(one, toleration)),
  );
  if (more.length > 0) spec.tolerations = [...own, ...more];
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
