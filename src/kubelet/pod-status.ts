import type {
  ContainerStatus as ApiContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import { type ContainerNotes, containerStatusOf } from "./container-state.ts";
import { EVICTED } from "./local-storage-eviction.ts";
import { isSidecar, type PodRuntimeState, readySandbox } from "./pod-runtime-state.ts";
import { qosClassOf } from "./qos-class.ts";
import { restartsAfter } from "./restart-policy.ts";

export interface PodStatusInput {
  readonly pod: Pod;
  /** The status the API server has, or will have when what is under way arrives. */
  readonly previous: PodStatus;
  readonly observed: PodRuntimeState;
  readonly notes: ContainerNotes;
  readonly now: number;
  readonly hostIp: string;
  /** The pod ends as a whole: deadline, admission, preemption. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

/** The status the kubelet answers for: other writers' conditions are not in it. Pure. */
export function podStatusOf(input: PodStatusInput): PodStatus {
  const { pod, previous, observed, notes, failure, now, hostIp } = input;
  const view = (container: NonNullable<Pod["spec"]>["containers"][number]) =>
    containerStatusOf(pod, container, observed, notes);
  const init = (pod.spec?.initContainers ?? []).map(view);
  const main = (pod.spec?.containers ?? []).map(view);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).map(view);
  const sandbox = readySandbox(observed);
  // On the machine's own network there is no other address.
  const ip = sandbox === undefined ? previous.podIP : sandbox.ip || hostIp;
  const phase = finalPhase(input, init, main);
  return {
    phase,
    ...(failure === undefined ? {} : { reason: failure.reason, message: failure.message }),
    startTime: previous.startTime ?? rfc3339(now),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    qosClass: previous.qosClass ?? qosClassOf(pod),
    ...(init.length === 0 ? {} : { initContainerStatuses: init }),
    containerStatuses: main,
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral }),
    conditions: conditionsOf(input, phase, init, main),
    ...(pod.metadata.generation === undefined
      ? {}
      : { observedGeneration: pod.metadata.generation }),
  };
}

/** A pod that reached its end keeps its phase. */
function finalPhase(
  { pod, previous, failure }: PodStatusInput,
  init: readonly ApiContainerStatus[],
  main: readonly ApiContainerStatus[],
): string {
  if (previous.phase === "Failed" || previous.phase === "Succeeded") return previous.phase;
  return failure === undefined ? phaseOf(pod, init, main) : "Failed";
}

/** Where the pod is in its life, from its containers alone. */
export function phaseOf(
  pod: Pod,
  init: readonly ApiContainerStatus[],
  main: readonly ApiContainerStatus[],
): string {
  const specs = new Map((pod.spec?.initContainers ?? []).map((one) => [one.name, one]));
  const steps = init.filter(({ name }) => {
    const spec = specs.get(name);
    return spec !== undefined && !isSidecar(spec);
  });
  const begun = main.some(({ containerID }) => containerID !== undefined);
  const failedInit = steps.some(({ name, state }) => {
    const spec = specs.get(name);
    const exitCode = state?.terminated?.exitCode ?? 0;
    return spec !== undefined && exitCode !== 0 && !restartsAfter(pod, spec, exitCode);
  });
  if (failedInit) return "Failed";
  if (!begun && steps.some(({ state }) => state?.terminated?.exitCode !== 0)) return "Pending";
  const waiting = main.filter(
    ({ state, lastState }) => state?.waiting !== undefined && lastState?.terminated === undefined,
  );
  if (waiting.length > 0) return "Pending";
  if (main.some(({ state }) => state?.running !== undefined)) return "Running";
  const mains = new Map((pod.spec?.containers ?? []).map((one) => [one.name, one]));
  const returns = main.some(({ name, state }) => {
    const spec = mains.get(name);
    const exitCode = state?.terminated?.exitCode;
    return spec === undefined || exitCode === undefined || restartsAfter(pod, spec, exitCode);
  });
  if (returns || main.length === 0) return main.length === 0 ? "Pending" : "Running";
  return main.every(({ state }) => state?.terminated?.exitCode === 0) ? "Succeeded" : "Failed";
}

function conditionsOf(
  input: PodStatusInput,
  phase: string,
  init: readonly ApiContainerStatus[],
  main: readonly ApiContainerStatus[],
): PodCondition[] {
  const { pod, observed, previous } = input;
  const done = phase === "Succeeded" ? { reason: "PodCompleted" } : undefined;
  const unready = main.filter(({ ready }) => !ready).map(({ name }) => name);
  const ended = phase === "Failed" ? { reason: "PodFailed" } : done;
  const containersReady: Verdict =
    unready.length === 0 && ended === undefined
      ? { status: "True" }
      : { status: "False", ...(ended ?? because("ContainersNotReady", "unready status", unready)) };
  const begun = main.some(({ containerID }) => containerID !== undefined);
  const pending = begun ? [] : pendingInit(pod, init);
  const initialized: Verdict =
    pending.length === 0
      ? { status: "True", ...done }
      : {
          status: "False",
          ...because("ContainersNotInitialized", "incomplete status", pending),
        };
  // What has ended for good needs no place to run in, although its address is kept with its logs.
  const runs = observed.containers.some(({ state }) => state === "running");
  const sandbox = readySandbox(observed) !== undefined && (ended === undefined || runs);
  const verdicts: [string, Verdict][] = [
    ["PodReadyToStartContainers", { status: sandbox ? "True" : "False" }],
    ["Initialized", initialized],
    ["Ready", readyVerdict(pod, previous, containersReady)],
    ["ContainersReady", containersReady],
    ["PodScheduled", { status: "True" }],
    ...disruption(input.failure),
  ];
  return verdicts.map(([type, verdict]) => condition(type, verdict, input));
}

/** Tells Jobs and their like that the pod did not fail by itself. */
function disruption(failure: PodStatusInput["failure"]): [string, Verdict][] {
  if (failure?.reason !== EVICTED) return [];
  const { message } = failure;
  return [["DisruptionTarget", { status: "True", reason: "TerminationByKubelet", message }]];
}

interface Verdict {
  readonly status: "True" | "False";
  readonly reason?: string;
  readonly message?: string;
}

function because(reason: string, what: string, names: readonly string[]): Omit<Verdict, "status"> {
  return { reason, message: `containers with ${what}: [${names.join(" ")}]` };
}

function pendingInit(pod: Pod, init: readonly ApiContainerStatus[]): string[] {
  const specs = new Map((pod.spec?.initContainers ?? []).map((one) => [one.name, one]));
  return init
    .filter(({ name, state, started }) => {
      const spec = specs.get(name);
      if (spec !== undefined && isSidecar(spec)) return started !== true;
      return state?.terminated?.exitCode !== 0;
    })
    .map(({ name }) => name);
}

function readyVerdict(pod: Pod, previous: PodStatus, containers: Verdict): Verdict {
  if (containers.status === "False") return containers;
  const missing = (pod.spec?.readinessGates ?? [])
    .map(({ conditionType }) => conditionType)
    .filter((type) => conditionOf(previous, type)?.status !== "True");
  if (missing.length === 0) return containers;
  const gates = missing.map((type) =>
    conditionOf(previous, type) === undefined
      ? `corresponding condition of pod readiness gate "${type}" does not exist.`
      : `the status of pod readiness gate "${type}" is not "True", but ${
          conditionOf(previous, type)?.status
        }`,
  );
  return { status: "False", reason: "ReadinessGatesNotReady", message: gates.join(", ") };
}

function condition(
  type: string,
  verdict: Verdict,
  { pod, previous, now }: PodStatusInput,
): PodCondition {
  const before = conditionOf(previous, type);
  const since = before?.status === verdict.status ? before.lastTransitionTime : undefined;
  const { generation } = pod.metadata;
  return {
    type,
    ...verdict,
    lastTransitionTime: since ?? rfc3339(now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

function conditionOf(status: PodStatus, type: string): PodCondition | undefined {
  return (status.conditions ?? []).find((one) => one.type === type);
}
