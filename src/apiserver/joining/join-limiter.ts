import type { Clock } from "../../lib/index.ts";

/** A bucket of so many tries, one of which comes back every so often. */
export interface BucketLimit {
  readonly burst: number;
  readonly refillMs: number;
}

export interface JoinLimiterOptions {
  readonly clock: Clock;
  readonly perAddress?: BucketLimit;
  readonly overall?: BucketLimit;
}

/** A machine that joins asks two or three times; one that guesses is slowed to one try in 5 s. */
export const PER_ADDRESS: BucketLimit = { burst: 10, refillMs: 5_000 };
export const OVERALL: BucketLimit = { burst: 100, refillMs: 100 };
/** Addresses remembered; the one that was quiet longest is forgotten for another. */
export const MAX_ADDRESSES = 4_096;

interface Bucket {
  tries: number;
  filledMs: number;
}

/** Bounds how often joining is tried: by each address, and by all of them together. */
export class JoinLimiter {
  readonly #clock: Clock;
  readonly #perAddress: BucketLimit;
  readonly #overallLimit: BucketLimit;
  readonly #overall: Bucket;
  /** In the order of their last try. */
  readonly #addresses = new Map<string, Bucket>();

  constructor({ clock, perAddress = PER_ADDRESS, overall = OVERALL }: JoinLimiterOptions) {
    this.#clock = clock;
    this.#perAddress = perAddress;
    this.#overallLimit = overall;
    this.#overall = { tries: overall.burst, filledMs: clock.monotonic() };
  }

  /** Takes one try; milliseconds to wait when there is none left, 0 when it may go on. */
  take(address: string): number {
    const own = this.#bucketOf(address);
    const waitMs = this.#missingMs(own, this.#perAddress);
    // Who is over its own limit takes nothing from the others.
    if (waitMs > 0) return waitMs;
    const overallMs = this.#missingMs(this.#overall, this.#overallLimit);
    if (overallMs > 0) return overallMs;
    own.tries--;
    this.#overall.tries--;
    return 0;
  }

  #bucketOf(address: string): Bucket {
    const known = this.#addresses.get(address);
    const bucket = known ?? { tries: this.#perAddress.burst, filledMs: this.#clock.monotonic() };
    this.#addresses.delete(address);
    this.#addresses.set(address, bucket);
    if (this.#addresses.size > MAX_ADDRESSES) {
      const [quietest = ""] = this.#addresses.keys();
      this.#addresses.delete(quietest);
    }
    return bucket;
  }

  #missingMs(bucket: Bucket, { burst, refillMs }: BucketLimit): number {
    const nowMs = this.#clock.monotonic();
    const back = Math.floor((nowMs - bucket.filledMs) / refillMs);
    if (back > 0) {
      bucket.tries = Math.min(burst, bucket.tries + back);
      bucket.filledMs = bucket.tries === burst ? nowMs : bucket.filledMs + back * refillMs;
    }
    return bucket.tries > 0 ? 0 : bucket.filledMs + refillMs - nowMs;
  }
}
