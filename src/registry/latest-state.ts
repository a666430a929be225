import { serviceUnavailable } from "../apimachinery/index.ts";
import { type Store, StoreError } from "../store/index.ts";

const RETRY_AFTER_SECONDS = 1;

/**
 * Resolves when every write acknowledged before the call can be read here. Throws 503 when no
 * majority says so: an old state must not pass for the present one.
 */
export async function latestState(store: Store): Promise<void> {
  try {
    await store.barrier();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const refused = serviceUnavailable(`the latest state cannot be read now: ${error.message}`);
    const details = { ...refused.status.details, retryAfterSeconds: RETRY_AFTER_SECONDS };
    refused.status.details = details;
    throw refused;
  }
}
