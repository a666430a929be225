import type { ContainerStatus, Deployment, Node, Pod } from "../api/index.ts";

/** Something that does not work, and the command that tells more or mends it. */
export interface Problem {
  readonly what: string;
  readonly advice: string;
}

export interface ClusterView {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly deployments: readonly Deployment[];
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/** What says that a container is on its way. */
const STARTING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);

/** What is wrong as the cluster's objects tell it: nodes first, because pods suffer from them. */
export function diagnose({ nodes, pods, deployments }: ClusterView): Problem[] {
  return [
    ...nodes.flatMap(nodeProblems),
    ...deployments.flatMap(deploymentProblems),
    ...pods.flatMap(podProblems),
  ];
}

function nodeProblems({ metadata, status, spec }: Node): Problem[] {
  const name = `node ${metadata.name}`;
  const advice = `kubectl describe node ${metadata.name}`;
  const found = (status?.conditions ?? []).flatMap((condition) => {
    const bad =
      condition.type === "Ready" ? condition.status !== "True" : condition.status === "True";
    if (!bad) return [];
    const what = condition.type === "Ready" ? "is not ready" : `has ${condition.type}`;
    return [{ what: `${name} ${what}${because(condition)}`, advice }];
  });
  if (spec?.unschedulable !== true) return found;
  const uncordon = `kubectl uncordon ${metadata.name}`;
  return [...found, { what: `${name} takes no new pods`, advice: uncordon }];
}

/** Pods that could not even be made: no pod tells of them. */
function deploymentProblems({ metadata, status }: Deployment): Problem[] {
  const failure = find(status?.conditions, "ReplicaFailure");
  if (failure?.status !== "True") return [];
  const name = `${metadata.namespace}/${metadata.name}`;
  const advice = `kubectl describe deployment ${metadata.name} -n ${metadata.namespace}`;
  return [{ what: `deployment ${name} lacks pods${because(failure)}`, advice }];
}

function podProblems({ metadata, status }: Pod): Problem[] {
  const name = `pod ${metadata.namespace}/${metadata.name}`;
  const where = `${metadata.name} -n ${metadata.namespace}`;
  const containers = [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
  ];
  const waiting = containers.flatMap((container) => {
    const state = container.state?.waiting;
    if (state?.reason === undefined || STARTING.has(state.reason)) return [];
    const advice = waitingAdvice(state.reason, container, where);
    return [{ what: `${name}${because({ ...state, type: "", status: "" })}`, advice }];
  });
  if (waiting.length > 0) return waiting;
  const scheduled = find(status?.conditions, "PodScheduled");
  if (scheduled?.status !== "False") return [];
  return [{ what: `${name}${because(scheduled)}`, advice: `kubectl describe pod ${where}` }];
}

function waitingAdvice(reason: string, container: ContainerStatus, where: string): string {
  switch (reason) {
    case "CrashLoopBackOff":
      return `kubectl logs ${where} -c ${container.name} --previous`;
    case "ErrImagePull":
    case "ImagePullBackOff":
    case "ErrImageNeverPull":
    case "InvalidImageName":
      return "kubun image list shows what the cluster has, kubun image push FILE NAME adds to it";
    default:
      return `kubectl describe pod ${where}`;
  }
}

function because({ reason, message }: Condition): string {
  const why = [reason, message].filter((text) => text !== undefined && text !== "").join(": ");
  return why === "" ? "" : `: ${why}`;
}

function find(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
