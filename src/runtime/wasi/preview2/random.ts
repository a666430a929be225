import { randomBytes } from "node:crypto";
import type { Interfaces } from "./instance-context.ts";
import { GuestTrap } from "./io/guest-error.ts";

/** Random bytes of one call; a guest that wants more asks again. */
export const MAX_RANDOM_BYTES = 16 * 1024 * 1024;

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
  return randomBytes(Number(length));
}

function number(): bigint {
  return randomBytes(8).readBigUInt64LE();
}
