import type { Container, Pod, Probe } from "../api/index.ts";
import type { CancelTimer, Clock } from "../lib/index.ts";
import type { ContainerStatus } from "../runtime/index.ts";
import type { PodEvents } from "./pod-events.ts";
import { type ProbeOutcome, type ProbeTarget, runProbe } from "./probe-action.ts";

type ProbeKind = "startup" | "readiness" | "liveness";

export interface ContainerProbesOptions {
  readonly pod: Pod;
  readonly container: Container;
  readonly status: ContainerStatus;
  readonly podIp: string;
  readonly endpoint: ProbeTarget["endpoint"];
  readonly run: ProbeTarget["run"];
  /** What the API server was told before this server began: kept until the first answer. */
  readonly initially: { readonly ready: boolean; readonly started: boolean };
  readonly clock: Clock;
  readonly events: PodEvents;
  readonly onChange: () => void;
  /** Whether the node starts so many containers that those which run are slow to answer. */
  readonly isBusy: () => boolean;
}

const TITLES: Readonly<Record<ProbeKind, string>> = {
  startup: "Startup",
  readiness: "Readiness",
  liveness: "Liveness",
};
const MAX_MESSAGE_LENGTH = 1024;

/** The probes of one running container: asks by the clock and keeps what they found. */
export class ContainerProbes {
  readonly #options: ContainerProbesOptions;
  readonly #timers = new Map<ProbeKind, CancelTimer>();
  readonly #streaks = new Map<ProbeKind, { success: boolean; length: number }>();
  #started: boolean;
  #ready: boolean;
  /** The first readiness probe was asked at once, and has not been answered. */
  #undecided = false;
  #failed: "liveness" | "startup" | undefined;
  #closed = false;

  constructor(options: ContainerProbesOptions) {
    this.#options = options;
    const { container, initially } = options;
    this.#started = container.startupProbe === undefined || initially.started;
    this.#ready = container.readinessProbe === undefined || initially.ready;
    for (const kind of ["startup", "readiness", "liveness"] as const) this.#begin(kind);
  }

  get started(): boolean {
    return this.#started;
  }

  get ready(): boolean {
    return this.#ready && this.#started;
  }

  /** It may be ready in a moment: its first answer is on the way. */
  get undecided(): boolean {
    return this.#undecided && !this.#ready;
  }

  /** The probe by which this container is to be restarted. */
  get failed(): "liveness" | "startup" | undefined {
    return this.#failed;
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #begin(kind: ProbeKind): void {
    const probe = this.#probe(kind);
    if (probe === undefined) return;
    if (kind === "startup" ? this.#started : !this.#started) return;
    const { clock, status } = this.#options;
    const sinceStartMs = clock.now() - (status.startedAt ?? clock.now());
    const delayMs = Math.max(0, (probe.initialDelaySeconds ?? 0) * 1000 - sinceStartMs);
    if (kind === "readiness") this.#undecided = delayMs <= 0;
    this.#schedule(kind, probe, delayMs);
  }

  /** A probe that cannot be asked counts as passed, and says so once. */
  #unsupported(kind: ProbeKind): void {
    const message =
      `${TITLES[kind]} probe of kind exec is not supported for WASM containers, and counts as ` +
      "passed: use httpGet, tcpSocket or grpc";
    this.#tell(message, "ProbeUnsupported");
    this.#undecided &&= kind !== "readiness";
    if (kind !== "liveness") this.#conclude(kind, true);
  }

  #probe(kind: ProbeKind): Probe | undefined {
    const { startupProbe, readinessProbe, livenessProbe } = this.#options.container;
    return { startup: startupProbe, readiness: readinessProbe, liveness: livenessProbe }[kind];
  }

  #schedule(kind: ProbeKind, probe: Probe, delayMs: number): void {
    if (this.#closed) return;
    const ask = (): void => void this.#ask(kind, probe);
    // The first question comes at once, without a turn of the timer, so that pods get ready fast.
    if (delayMs <= 0) return queueMicrotask(ask);
    this.#timers.set(kind, this.#options.clock.after(delayMs, ask));
  }

  async #ask(kind: ProbeKind, probe: Probe): Promise<void> {
    if (this.#closed) return;
    const { clock, podIp, container, endpoint, run } = this.#options;
    const target = { podIp, container, endpoint, run };
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    const outcome = this.#judge(await runProbe(probe, target, { clock, timeoutMs }));
    if (this.#closed) return;
    if (outcome.success === "unsupported") return this.#unsupported(kind);
    const again = outcome.success === "unknown" || this.#count(kind, probe, outcome);
    if (again) this.#schedule(kind, probe, Math.max(1, probe.periodSeconds ?? 10) * 1000);
  }

  /** On a node that starts hundreds, ending what is slow would only add one more to start. */
  #judge(outcome: ProbeOutcome): ProbeOutcome {
    const slow = outcome.success === false && outcome.timedOut === true;
    return slow && this.#options.isBusy() ? { success: "unknown" } : outcome;
  }

  /** False: this probe has said its last. */
  #count(
    kind: ProbeKind,
    probe: Probe,
    outcome: Exclude<ProbeOutcome, { readonly success: "unknown" | "unsupported" }>,
  ): boolean {
    const { success } = outcome;
    const before = this.#streaks.get(kind);
    const length = before?.success === success ? before.length + 1 : 1;
    this.#streaks.set(kind, { success, length });
    if (!outcome.success) {
      const message = outcome.message.slice(0, MAX_MESSAGE_LENGTH);
      this.#tell(`${TITLES[kind]} probe failed: ${message}`, "Unhealthy");
    }
    const decided = kind === "readiness" && this.#undecided;
    if (decided) this.#undecided = false;
    if (decided && !success) this.#options.onChange();
    const threshold = success ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    return length < threshold || this.#conclude(kind, success);
  }

  #conclude(kind: ProbeKind, success: boolean): boolean {
    switch (kind) {
      case "readiness": {
        const changed = this.#ready !== success;
        this.#ready = success;
        if (changed) this.#options.onChange();
        return true;
      }
      case "startup":
        if (!success) return this.#fail("startup");
        this.#started = true;
        this.#begin("readiness");
        this.#begin("liveness");
        this.#options.onChange();
        return false;
      case "liveness":
        return success || this.#fail("liveness");
    }
  }

  #fail(kind: "liveness" | "startup"): false {
    this.#failed = kind;
    this.#options.onChange();
    return false;
  }

  #tell(message: string, reason: string): void {
    const { events, pod, container } = this.#options;
    events.container(pod, container.name, "Warning", reason, message);
  }
}
