import type { ContainerStatus, ExitReason } from "../runtime.ts";
import { notesOf } from "./container-request.ts";
import { CONTAINER_STATES, type ContainerStatusResponse } from "./cri/messages.ts";
import type { Decoded } from "./cri/protobuf.ts";
import { POD_UID } from "./sandbox-request.ts";

export type CriContainerStatus = NonNullable<Decoded<typeof ContainerStatusResponse>["status"]>;

const NANOSECONDS_PER_MILLISECOND = 1e6;

export function milliseconds(nanoseconds: number): number {
  return Math.floor(nanoseconds / NANOSECONDS_PER_MILLISECOND);
}

/** A container as the kubelet sees it, from what the CRI says; undefined for one of others. */
export function containerStatusOf(
  status: CriContainerStatus,
  sandboxId: string,
): ContainerStatus | undefined {
  const notes = notesOf(status.annotations);
  if (notes === undefined) return undefined;
  const { id, metadata, labels, startedAt, finishedAt, exitCode, message } = status;
  const state = CONTAINER_STATES[status.state] ?? "unknown";
  const imageRef = status.imageRef.includes("@")
    ? status.imageRef
    : `${notes.image.replace(/@.*$/, "")}@${status.imageRef}`;
  return {
    id,
    sandboxId,
    podUid: labels[POD_UID] ?? "",
    name: metadata?.name ?? "",
    attempt: metadata?.attempt ?? 0,
    state,
    createdAt: milliseconds(status.createdAt),
    ...(startedAt > 0 ? { startedAt: milliseconds(startedAt) } : {}),
    ...(finishedAt > 0 ? { finishedAt: milliseconds(finishedAt) } : {}),
    ...(state === "exited"
      ? { exitCode, reason: reasonOf(status), ...(message === "" ? {} : { message }) }
      : {}),
    image: notes.image,
    imageRef,
    logPath: notes.logPath,
    warnings: [],
    annotations: notes.annotations,
  };
}

function reasonOf({ reason, exitCode }: CriContainerStatus): ExitReason {
  switch (reason) {
    case "Completed":
    case "OOMKilled":
    case "Error":
      return reason;
    case "StartError":
    case "ContainerCannotRun":
      return "ContainerCannotRun";
    default:
      return exitCode === 0 ? "Completed" : "Error";
  }
}
