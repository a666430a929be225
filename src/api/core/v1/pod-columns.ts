import { humanDuration, parseRfc3339 } from "../../../apimachinery/index.ts";
import { orNone } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE, wide } from "../../table-columns.ts";
import type { Container, ContainerStatus, Pod } from "./types.ts";

export const podColumns: readonly TableColumn<Pod>[] = [
  NAME_COLUMN,
  column("Ready", "Containers that are ready, of all that should be.", readyText),
  column("Status", "What the pod is doing, or why it cannot.", statusText),
  column("Restarts", "How often containers were started again, and when last.", restartsText),
  AGE_COLUMN,
  wide(column("IP", "Address of the pod.", (pod) => orNone(podIp(pod)))),
  wide(column("Node", "Node the pod is bound to.", (pod) => orNone(pod.spec?.nodeName))),
  wide(
    column("Nominated Node", "Node that is being cleared for the pod.", (pod) =>
      orNone(pod.status?.nominatedNodeName),
    ),
  ),
  wide(column("Readiness Gates", "Extra conditions met, of all asked for.", readinessGatesText)),
];

function podIp(pod: Pod): string | undefined {
  return pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP;
}

function readinessGatesText(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const met = gates.filter((gate) => conditionIs(pod, gate.conditionType, "True"));
  return `${met.length}/${gates.length}`;
}

function conditionIs(pod: Pod, type: string, status: string): boolean {
  const conditions = pod.status?.conditions ?? [];
  return conditions.some((condition) => condition.type === type && condition.status === status);
}

/** An init container that restarts always is a sidecar: it runs as long as the pod does. */
function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

function sidecarNames(pod: Pod): ReadonlySet<string> {
  return new Set((pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
}

function readyText(pod: Pod): string {
  const sidecars = sidecarNames(pod);
  const total = (pod.spec?.containers?.length ?? 0) + sidecars.size;
  let ready = 0;
  for (const status of pod.status?.initContainerStatuses ?? []) {
    if (sidecars.has(status.name) && status.started === true && status.ready) ready++;
  }
  if (initStatus(pod, sidecars) === undefined || conditionIs(pod, "Initialized", "True")) {
    for (const { ready: isReady, state } of pod.status?.containerStatuses ?? []) {
      if (isReady && state?.running !== undefined) ready++;
    }
  }
  return `${ready}/${total}`;
}

/** What holds initialization up, as "Init:…"; undefined when nothing does. */
function initStatus(pod: Pod, sidecars: ReadonlySet<string>): string | undefined {
  const statuses = pod.status?.initContainerStatuses ?? [];
  for (const [index, { name, state, started }] of statuses.entries()) {
    if (state?.terminated?.exitCode === 0) continue;
    if (sidecars.has(name) && started === true) continue;
    if (state?.terminated !== undefined) return `Init:${exitText(state.terminated)}`;
    const waiting = state?.waiting?.reason ?? "";
    if (waiting !== "" && waiting !== "PodInitializing") return `Init:${waiting}`;
    return `Init:${index}/${pod.spec?.initContainers?.length ?? 0}`;
  }
  return undefined;
}

function exitText(ended: { reason?: string; signal?: number; exitCode: number }): string {
  if (ended.reason) return ended.reason;
  return ended.signal ? `Signal:${ended.signal}` : `ExitCode:${ended.exitCode}`;
}

function statusText(pod: Pod): string {
  const status = pod.status ?? {};
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === "NodeLost") return "Unknown";
    if (status.phase !== "Succeeded" && status.phase !== "Failed") return "Terminating";
  }
  const gated = status.conditions?.some(
    ({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated",
  );
  const init = initStatus(pod, sidecarNames(pod));
  const before = init ?? (gated === true ? "SchedulingGated" : status.reason || status.phase || "");
  const isInitialized = init === undefined || conditionIs(pod, "Initialized", "True");
  return isInitialized ? containersStatus(pod, before) : before;
}

/** The first container with something to say decides; one that still runs outweighs "Completed". */
function containersStatus(pod: Pod, before: string): string {
  const statuses = pod.status?.containerStatuses ?? [];
  const telling = statuses.find(
    ({ state }) => Boolean(state?.waiting?.reason) || state?.terminated !== undefined,
  );
  const reason = telling === undefined ? before : containerReason(telling);
  const hasRunning = statuses.some(({ ready, state }) => ready && state?.running !== undefined);
  if (reason !== "Completed" || !hasRunning) return reason;
  return conditionIs(pod, "Ready", "True") ? "Running" : "NotReady";
}

function containerReason({ state }: ContainerStatus): string {
  if (state?.waiting?.reason) return state.waiting.reason;
  return state?.terminated === undefined ? "" : exitText(state.terminated);
}

function restartsText(pod: Pod, now: number): string {
  const sidecars = sidecarNames(pod);
  const initializing =
    initStatus(pod, sidecars) !== undefined && !conditionIs(pod, "Initialized", "True");
  const init = pod.status?.initContainerStatuses ?? [];
  // Once the pod is initialized, only what runs beside it counts.
  const counted = initializing
    ? init
    : [...init.filter(({ name }) => sidecars.has(name)), ...(pod.status?.containerStatuses ?? [])];
  let restarts = 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const { restartCount, lastState } of counted) {
    // Whoever writes a status may leave out what is zero.
    restarts += restartCount ?? 0;
    const finishedAt = lastState?.terminated?.finishedAt;
    if (finishedAt !== undefined) last = Math.max(last, parseRfc3339(finishedAt));
  }
  if (restarts === 0 || !Number.isFinite(last)) return String(restarts);
  return `${restarts} (${humanDuration(now - last)} ago)`;
}
