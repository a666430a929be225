import type { Interfaces } from "./instance-context.ts";
import { GuestTrap } from "./io/guest-error.ts";

/** Random bytes of one call; a guest that wants more asks again. */
export const MAX_RANDOM_BYTES = 16 * 1024 * 1024;
/** What getRandomValues gives at once. node:crypto has no such limit, and takes 5 ms to load. */
const QUOTA_BYTES = 65_536;

/** The interfaces of wasi:random; the insecure ones are as good as the others. */
export function randomInterfaces(): Interfaces {
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: number },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: number },
    "wasi:random/insecure-seed": { insecureSeed: () => [number(), number()] },
  };
}

function bytes(length: bigint): Uint8Array {
  if (length > BigInt(MAX_RANDOM_BYTES)) {
    throw new GuestTrap(`${length} random bytes at once, at most ${MAX_RANDOM_BYTES}`);
  }
  const made = new Uint8Array(Number(length));
  for (let at = 0; at < made.length; at += QUOTA_BYTES) {
    crypto.getRandomValues(made.subarray(at, at + QUOTA_BYTES));
  }
  return made;
}

function number(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
}
