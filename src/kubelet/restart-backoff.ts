import type { ContainerStatus } from "../runtime/index.ts";

export const INITIAL_BACKOFF_MS = 10_000;
export const MAX_BACKOFF_MS = 300_000;
/** A container that was made longer ago than this starts over without a delay. */
export const BACKOFF_RESET_MS = 600_000;

/**
 * The back-off lives in an annotation of each container, so that it survives the server and needs
 * no memory beside the runtime's: it is how long the *next* restart waits after this one's end.
 */
const BACKOFF_ANNOTATION = "kubun.dev/restart-backoff-ms";

export interface RestartDelay {
  /** How long the restart waits after the container's end; 0 is at once. */
  readonly delayMs: number;
  /** What the new container is annotated with. */
  readonly next: Readonly<Record<string, string>>;
}

/** The first restart is at once, the second after 10 s, doubling up to 5 min; 10 min reset it. */
export function restartDelay(last: ContainerStatus, now: number): RestartDelay {
  const recorded = Number(last.annotations[BACKOFF_ANNOTATION] ?? 0);
  const held = Number.isFinite(recorded) ? recorded : 0;
  const ended = last.finishedAt ?? now;
  const expired = held === 0 || ended - last.createdAt > BACKOFF_RESET_MS;
  const nextMs = expired ? INITIAL_BACKOFF_MS : Math.min(held * 2, MAX_BACKOFF_MS);
  return { delayMs: expired ? 0 : held, next: { [BACKOFF_ANNOTATION]: `${nextMs}` } };
}

/** "10s", "2m40s", "5m0s", as Kubernetes writes a back-off. */
export function backoffText(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
