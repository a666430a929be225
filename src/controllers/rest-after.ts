/** Below it every change is looked at by itself: nobody would notice the difference. */
const MANY = 10;
const REST_PER_OBJECT_MS = 1;
/** The longest that a change waits. */
export const MAX_REST_MS = 500;

/**
 * How long a controller waits after a look at something that has so many objects. Each look goes
 * through all of them and may write what they amount to; with 500 pods that start, a look for each
 * of their changes would be a quarter of a million steps, and four writes a pod.
 */
export function restAfter(objects: number): number {
  return objects < MANY ? 0 : Math.min(objects * REST_PER_OBJECT_MS, MAX_REST_MS);
}
