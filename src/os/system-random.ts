import { randomBytes } from "node:crypto";
import type { Random } from "../lib/index.ts";

/** Bits of a double's fraction. */
const FRACTION_BITS = 53;

/** The operating system's cryptographic randomness. */
export const systemRandom: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  float: () => {
    const bits = randomBytes(8).readBigUInt64LE(0) >> BigInt(64 - FRACTION_BITS);
    return Number(bits) / 2 ** FRACTION_BITS;
  },
};
