import { beforeAll, describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, SeededRandom } from "../lib/index.ts";
import type { LogFields, Logger } from "../lib/index.ts";
import { createCertificateAuthority, issueServerCertificate } from "../os/certificates.ts";
import type { KeyPair } from "../os/index.ts";
import { isWorn, keepCertificate, lifeOf, MAX_PAUSE_MS, MAX_SLEEP_MS } from "./keep-certificate.ts";

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

describe("keepCertificate", () => {
  let ca: KeyPair;
  const startMs = Date.UTC(2026, 0, 1);

  beforeAll(async () => {
    ca = await createCertificateAuthority(startMs);
  });

  async function issued(nowMs: number, lifetimeMs: number): Promise<string> {
    return (await issueServerCertificate({ ca, names: ["x"], nowMs, lifetimeMs })).certificate;
  }

  interface Fixture {
    readonly clock: ManualClock;
    readonly asked: number[];
    readonly lines: string[];
    readonly stop: AbortController;
    readonly running: Promise<void>;
  }

  function keep(
    certificate: string,
    renew: (attempt: number) => Promise<string>,
    clock = new ManualClock(startMs),
  ): Fixture {
    const asked: number[] = [];
    const lines: string[] = [];
    const log = (message: string, fields: LogFields = {}): void => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
    const stop = new AbortController();
    const running = keepCertificate({
      name: "peer",
      certificate,
      async renew() {
        asked.push(clock.now());
        return renew(asked.length);
      },
      clock,
      random: new SeededRandom(5),
      logger,
      signal: stop.signal,
    });
    return { clock, asked, lines, stop, running };
  }

  test("keepCertificate renews before two thirds of the life are over, and again", async () => {
    const yearMs = 365 * DAY_MS;
    const certificates = [
      await issued(startMs, yearMs),
      await issued(startMs + 0.66 * yearMs, yearMs),
      await issued(startMs + 1.32 * yearMs, yearMs),
    ];
    const [first = "", second = "", third = ""] = certificates;
    const kept = keep(first, (attempt) => Promise.resolve(attempt === 1 ? second : third));
    for (let hour = 0; kept.asked.length < 2 && hour < 20_000; hour++) {
      await kept.clock.advanceAsync(HOUR_MS);
    }
    for (const [index, certificate] of [first, second].entries()) {
      const { fromMs, untilMs } = lifeOf(certificate);
      const part = ((kept.asked[index] ?? 0) - fromMs) / (untilMs - fromMs);
      expect(part).toBeGreaterThanOrEqual(3 / 5);
      expect(part).toBeLessThanOrEqual(2 / 3 + HOUR_MS / yearMs);
      expect(isWorn(certificate, untilMs - (untilMs - fromMs) * 0.3)).toBe(true);
      expect(isWorn(certificate, untilMs - (untilMs - fromMs) * 0.4)).toBe(false);
    }
    kept.stop.abort();
    await kept.running;
    expect(kept.clock.pending).toBe(0);
    expect(kept.lines.filter((line) => line.includes("was renewed"))).toHaveLength(2);
  });

  test("keepCertificate asks again with growing pauses, and not in step with others", async () => {
    const kept = keep(await issued(startMs - 300 * DAY_MS, 365 * DAY_MS), (attempt) => {
      return attempt < 14 ? Promise.reject(new Error("nobody is there")) : new Promise(() => null);
    });
    for (let minute = 0; kept.asked.length < 14 && minute < 10_000; minute++) {
      await kept.clock.advanceAsync(5_000);
    }
    const pauses = kept.asked.slice(1).map((atMs, index) => atMs - (kept.asked[index] ?? 0));
    expect(pauses[0]).toBeGreaterThanOrEqual(5_000);
    expect(pauses[0]).toBeLessThanOrEqual(15_000);
    const last = pauses.slice(-3);
    for (const pauseMs of last) {
      expect(pauseMs).toBeGreaterThanOrEqual(MAX_PAUSE_MS / 2);
      expect(pauseMs).toBeLessThanOrEqual(MAX_PAUSE_MS + 5_000);
    }
    expect(new Set(last).size).toBeGreaterThan(1);
    expect(kept.lines[0]).toContain("nobody is there");
    expect(kept.lines).toHaveLength(13);
    kept.stop.abort();
  });

  test("keepCertificate of a short life hurries", async () => {
    const lifetimeMs = 30_000;
    const certificate = await issued(startMs, lifetimeMs);
    const kept = keep(certificate, () => Promise.reject(new Error("not yet")));
    await kept.clock.advanceAsync(lifetimeMs, 100);
    expect(kept.asked.length).toBeGreaterThan(8);
    expect((kept.asked[0] ?? 0) - startMs).toBeLessThan((lifetimeMs * 2) / 3);
    kept.stop.abort();
    await kept.running;
    expect(kept.clock.pending).toBe(0);
  });

  test("keepCertificate does not take one that ends no later for a new one", async () => {
    const certificate = await issued(startMs - 300 * DAY_MS, 365 * DAY_MS);
    const kept = keep(certificate, () => Promise.resolve(certificate));
    await drainMicrotasks();
    expect(kept.asked).toHaveLength(1);
    expect(kept.lines[0]).toContain("ends no later");
    kept.stop.abort();
  });

  test("keepCertificate notices within an hour that the wall clock jumped", async () => {
    const clock = new ManualClock(startMs);
    let aheadMs = 0;
    const jumping = {
      now: () => clock.now() + aheadMs,
      monotonic: () => clock.monotonic(),
      after: (delayMs: number, callback: () => void) => clock.after(delayMs, callback),
    };
    const asked: number[] = [];
    const stop = new AbortController();
    const logger: Logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: () => undefined,
      child: () => logger,
    };
    void keepCertificate({
      name: "peer",
      certificate: await issued(startMs, 365 * DAY_MS),
      renew: () => {
        asked.push(jumping.now());
        return new Promise(() => undefined);
      },
      clock: jumping,
      random: new SeededRandom(5),
      logger,
      signal: stop.signal,
    });
    aheadMs = 300 * DAY_MS;
    await clock.advanceAsync(MAX_SLEEP_MS);
    expect(asked).toHaveLength(1);
    stop.abort();
  });
});
