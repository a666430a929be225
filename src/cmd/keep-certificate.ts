import { X509Certificate } from "node:crypto";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";

export interface KeepCertificateOptions {
  /** What it is to whoever reads the log: "peer", "API". */
  readonly name: string;
  /** In use now, PEM. */
  readonly certificate: string;
  /** Gets another one, puts it to use and gives it, PEM. Rejects when that cannot be done now. */
  readonly renew: (signal: AbortSignal) => Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A certificate is replaced when at least this part of its life is over … */
const EARLIEST = 3 / 5;
/** … and at the latest when a third is left: machines that joined together come one by one. */
const LATEST = 2 / 3;
/** The wall clock is looked at this often: it may jump, and the machine may have slept. */
export const MAX_SLEEP_MS = 60 * 60 * 1000;
/** Between two attempts at first, and then twice as long each time, … */
const FIRST_PAUSE_MS = 10_000;
/** … up to this, but never more than a part of the certificate's life. */
export const MAX_PAUSE_MS = 60 * 60 * 1000;
const PAUSES_A_LIFE = 50;
const MIN_PAUSE_MS = 500;

/** When a certificate begins and ends, milliseconds since the Unix epoch. */
export function lifeOf(certificate: string): { readonly fromMs: number; readonly untilMs: number } {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return { fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) };
}

/** Whether it is time for another certificate: a third of its life is left, or less. */
export function isWorn(certificate: string, nowMs: number): boolean {
  const { fromMs, untilMs } = lifeOf(certificate);
  return nowMs >= fromMs + (untilMs - fromMs) * LATEST;
}

/** Replaces a certificate in time, again and again, until the signal aborts. */
export async function keepCertificate(options: KeepCertificateOptions): Promise<void> {
  const { name, logger, signal } = options;
  let { certificate } = options;
  while (await untilDue(certificate, options)) {
    const renewed = await renewPatiently(certificate, options);
    if (renewed === undefined) return;
    certificate = renewed;
    const until = new Date(lifeOf(certificate).untilMs).toISOString();
    if (!signal.aborted) logger.info("a certificate was renewed", { certificate: name, until });
  }
}

/** False when the signal aborted. */
async function untilDue(certificate: string, options: KeepCertificateOptions): Promise<boolean> {
  const { clock, random, signal } = options;
  const { fromMs, untilMs } = lifeOf(certificate);
  const part = EARLIEST + (LATEST - EARLIEST) * random.float();
  const dueMs = fromMs + (untilMs - fromMs) * part;
  for (;;) {
    if (signal.aborted) return false;
    const leftMs = dueMs - clock.now();
    if (leftMs <= 0) return true;
    await sleep(clock, Math.min(leftMs, MAX_SLEEP_MS), signal);
  }
}

async function renewPatiently(
  certificate: string,
  { name, renew, clock, random, logger, signal }: KeepCertificateOptions,
): Promise<string | undefined> {
  const { fromMs, untilMs } = lifeOf(certificate);
  const most = Math.max(MIN_PAUSE_MS, Math.min(MAX_PAUSE_MS, (untilMs - fromMs) / PAUSES_A_LIFE));
  for (let pauseMs = Math.min(FIRST_PAUSE_MS, most); !signal.aborted;) {
    try {
      const renewed = await renew(signal);
      if (signal.aborted || lifeOf(renewed).untilMs > untilMs) return renewed;
      throw new Error("the new one ends no later: the cluster's authority may end then");
    } catch (error) {
      if (signal.aborted) return undefined;
      logger.warn("a certificate is not renewed yet", {
        certificate: name,
        until: new Date(untilMs).toISOString(),
        error: error instanceof Error ? error.message : String(error),
      });
    }
    // Half of it at least: those who failed together do not come again together.
    await sleep(clock, pauseMs * (0.5 + random.float() / 2), signal);
    pauseMs = Math.min(pauseMs * 2, most);
  }
  return undefined;
}
