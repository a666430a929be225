import type { Pod, PodStatus } from "../api/index.ts";
import { jsonEquals } from "../apimachinery/index.ts";
import { ApiError, type Client, PODS } from "../client/index.ts";
import { type CancelTimer, type Clock, type Logger, sleep } from "../lib/index.ts";

export interface StatusWriterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry {
  pod: Pod;
  /** What the API server is to have. */
  desired: PodStatus;
  /** What it answered last. */
  written: Pod | undefined;
  /** The patch it took last: one that it did not take over as sent must not be sent for ever. */
  sent: Record<string, unknown> | undefined;
  sending: Promise<void> | undefined;
  /** A status came while another was sent. */
  asked: boolean;
  delayed: CancelTimer | undefined;
}

const RETRY_INITIAL_MS = 200;
const RETRY_MAX_MS = 10_000;
const MAX_CONFLICTS = 5;

/** Brings pod statuses to the API server: one patch a change, the latest wins, none in parallel. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new AbortController();

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** The status as it is, or will be when what is under way has arrived. */
  current(pod: Pod): PodStatus {
    const entry = this.#entries.get(pod.metadata.uid ?? "");
    if (entry === undefined) return pod.status ?? {};
    return overlay(newest(pod, entry.written).status ?? {}, entry.desired);
  }

  /** With `delayMs` the patch waits for more, unless a status without delay comes first. */
  set(pod: Pod, status: PodStatus, options: { readonly delayMs?: number } = {}): void {
    if (this.#closing.signal.aborted) return;
    const uid = pod.metadata.uid ?? "";
    const entry = this.#entries.get(uid);
    if (entry === undefined) {
      const fresh: Entry = {
        pod,
        desired: status,
        written: undefined,
        sent: undefined,
        sending: undefined,
        asked: false,
        delayed: undefined,
      };
      this.#entries.set(uid, fresh);
      this.#schedule(fresh, options.delayMs ?? 0);
      return;
    }
    entry.pod = pod;
    entry.desired = status;
    this.#schedule(entry, options.delayMs ?? 0);
  }

  /** Resolves when the last status set for the pod has arrived, or its pod is gone. */
  async flushed(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#schedule(entry, 0);
    while (entry.sending !== undefined) await entry.sending;
  }

  forget(uid: string): void {
    this.#entries.get(uid)?.delayed?.();
    this.#entries.delete(uid);
  }

  /** Nothing is sent from now on, except what is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const entry of this.#entries.values()) {
      entry.delayed?.();
      await entry.sending;
    }
  }

  #schedule(entry: Entry, delayMs: number): void {
    if (delayMs === 0) {
      entry.delayed?.();
      entry.delayed = undefined;
      this.#send(entry);
    } else if (entry.sending !== undefined) {
      entry.asked = true;
    } else {
      entry.delayed ??= this.#options.clock.after(delayMs, () => {
        entry.delayed = undefined;
        this.#send(entry);
      });
    }
  }

  #send(entry: Entry): void {
    if (entry.sending !== undefined) {
      entry.asked = true;
      return;
    }
    entry.asked = false;
    entry.sending = this.#drain(entry).finally(() => {
      entry.sending = undefined;
      // It came between the last look at what is desired and now.
      if (entry.asked) this.#send(entry);
    });
  }

  async #drain(entry: Entry): Promise<void> {
    let conflicts = 0;
    for (let delayMs = RETRY_INITIAL_MS; !this.#closing.signal.aborted;) {
      const uid = entry.pod.metadata.uid ?? "";
      entry.asked = false;
      if (this.#entries.get(uid) !== entry) return;
      const base = newest(entry.pod, entry.written).status ?? {};
      const patch = statusPatch(base, entry.desired);
      if (patch === undefined || jsonEquals(patch, entry.sent)) return;
      try {
        entry.written = await this.#patch(entry.pod, patch);
        entry.sent = patch;
        delayMs = RETRY_INITIAL_MS;
      } catch (error) {
        // Gone: nobody is left to tell. A conflict that stays is another pod of the same name.
        const code = error instanceof ApiError ? error.code : 0;
        if (code === 404 || (code === 409 && ++conflicts > MAX_CONFLICTS)) return;
        this.#options.logger.warn("a pod's status was not taken", { error: String(error) });
        // What the server calls invalid will not become valid by repeating it.
        if (code === 422) return;
        await sleep(this.#options.clock, delayMs, this.#closing.signal);
        delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    }
  }

  #patch(pod: Pod, status: Record<string, unknown>): Promise<Pod> {
    const { namespace, name = "", uid } = pod.metadata;
    return this.#options.client
      .resource(PODS, namespace)
      .patch(name, { metadata: { uid }, status }, { type: "strategic", subresource: "status" });
  }
}

/** The fields and conditions that differ; undefined when there is nothing to say. */
export function statusPatch(
  base: PodStatus,
  desired: PodStatus,
): Record<string, unknown> | undefined {
  const { conditions = [], ...fields } = desired;
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (!jsonEquals(value, (base as Record<string, unknown>)[key])) patch[key] = value;
  }
  const known = new Map((base.conditions ?? []).map((one) => [one.type, one]));
  const changed = conditions.filter((condition) => {
    const before = known.get(condition.type);
    return (["status", "reason", "message"] as const).some(
      (field) => (before?.[field] ?? "") !== (condition[field] ?? ""),
    );
  });
  if (changed.length > 0) {
    // A merge keeps what is not named, so a reason that no longer holds is taken out by name.
    patch["conditions"] = changed.map((one) => ({ reason: null, message: null, ...one }));
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function overlay(base: PodStatus, desired: PodStatus): PodStatus {
  const own = new Set((desired.conditions ?? []).map(({ type }) => type));
  const others = (base.conditions ?? []).filter(({ type }) => !own.has(type));
  return { ...base, ...desired, conditions: [...(desired.conditions ?? []), ...others] };
}

/** Resource versions of one server compare as numbers; the watch may lag behind our own writes. */
function newest(seen: Pod, written: Pod | undefined): Pod {
  const version = (pod: Pod): number => Number(pod.metadata.resourceVersion ?? 0);
  return written !== undefined && version(written) > version(seen) ? written : seen;
}
