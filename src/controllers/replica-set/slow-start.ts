const FIRST_BATCH = 1;

/**
 * Calls `create` `count` times in batches of 1, 2, 4, …, and stops after the first batch with a
 * failure: what the server refuses once (quota, a broken template) it refuses a thousand times.
 * Gives the first error.
 */
export async function slowStart(count: number, create: () => Promise<void>): Promise<unknown> {
  let left = count;
  for (let batch = FIRST_BATCH; left > 0; batch *= 2) {
    const size = Math.min(batch, left);
    const results = await Promise.allSettled(Array.from({ length: size }, create));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) return failed.reason ?? new Error("creation failed");
    left -= size;
  }
  return undefined;
}
