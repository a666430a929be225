export interface NextCheckInput {
  /** When the sync's last plan was made, or before: epoch milliseconds, as all here. */
  readonly beganAt: number;
  /** When the plan wants to be made again. */
  readonly checkAt: number | undefined;
  /** When what failed may be tried again. */
  readonly retries: readonly number[];
}

/**
 * When to look at a pod again if nothing happens before. A retry that was due when the plan was
 * made is not waited for: the plan saw it, and has it wait for something else, such as the back-off
 * of a container that keeps failing. Waiting for it would mean looking again at once, for ever.
 */
export function nextCheckAt({ beganAt, checkAt, retries }: NextCheckInput): number | undefined {
  const due = retries.filter((at) => at > beganAt);
  if (checkAt !== undefined) due.push(checkAt);
  return due.length === 0 ? undefined : Math.min(...due);
}
