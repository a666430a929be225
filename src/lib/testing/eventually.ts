const DEFAULT_DEADLINE_MS = 10_000;
const POLL_INTERVAL_MS = 10;

/**
 * Waits until `probe` neither throws nor returns false or undefined, and gives what it returned.
 * Tests wait for conditions with this, never for time.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  options: { deadlineMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const deadlineMs = performance.now() + (options.deadlineMs ?? DEFAULT_DEADLINE_MS);
  for (;;) {
    let failure: unknown;
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) return value;
      failure = new Error(`last value: ${JSON.stringify(value)}`);
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`did not happen in time: ${options.what ?? probe.toString()}`, {
        cause: failure,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}
