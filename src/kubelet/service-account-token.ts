import type { authenticationV1, Pod, ServiceAccountTokenProjection } from "../api/index.ts";
import { parseRfc3339 } from "../apimachinery/index.ts";
import { type Client, isNotFound, SERVICE_ACCOUNTS } from "../client/index.ts";
import { type Clock, type Logger, sleep } from "../lib/index.ts";
import { VolumeError } from "./pod-volumes.ts";

type TokenRequest = authenticationV1.TokenRequest;

/** The tokens of one pod, for what its volumes project. */
export type PodTokens = (projection: ServiceAccountTokenProjection) => string;

export interface PodTokensOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry {
  readonly token: string;
  readonly expiresMs: number;
  readonly refreshMs: number;
}

const DEFAULT_SECONDS = 3600;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A token is replaced when a fifth of its time is left, and after a day at the latest. */
const USED_SHARE = 0.8;
/** How often it is looked whose tokens grow old; the shortest token lasts ten minutes. */
export const TOKEN_CHECK_INTERVAL_MS = 60_000;

/** A pod may come a moment before its account: 20, 40, … ms, together half a second. */
const EARLY_DELAY_MS = 20;
const MAX_EARLY_ATTEMPTS = 5;

/** The tokens that pods of this node carry, each asked for in the pod's name and kept in memory. */
export class ServiceAccountPodTokens {
  readonly #options: PodTokensOptions;
  /** Pod uid → audience and lifetime → token. */
  readonly #byPod = new Map<string, Map<string, Entry>>();

  constructor(options: PodTokensOptions) {
    this.#options = options;
  }

  /** Every token that the pod's volumes project. Throws {@link VolumeError}. */
  async of(pod: Pod): Promise<PodTokens> {
    const projections = projectionsOf(pod);
    if (projections.length === 0) return noToken;
    const uid = pod.metadata.uid ?? "";
    const held = this.#byPod.get(uid) ?? new Map<string, Entry>();
    this.#byPod.set(uid, held);
    await Promise.all(projections.map((projection) => this.#bringUpToDate(pod, projection, held)));
    return (projection) => held.get(keyOf(projection))?.token ?? noToken(projection);
  }

  /** The pod is gone. */
  release(uid: string): void {
    this.#byPod.delete(uid);
  }

  /** Tells of pods whose tokens must be written anew; those of an earlier run are not known. */
  async run(
    signal: AbortSignal,
    pods: () => Iterable<Pod>,
    renew: (uids: readonly string[]) => void,
  ): Promise<void> {
    for (;;) {
      await sleep(this.#options.clock, TOKEN_CHECK_INTERVAL_MS, signal);
      if (signal.aborted) return;
      const due = [...pods()].filter((pod) => this.#isDue(pod));
      if (due.length > 0) renew(due.map(({ metadata }) => metadata.uid ?? ""));
    }
  }

  #isDue(pod: Pod): boolean {
    const now = this.#options.clock.now();
    const held = this.#byPod.get(pod.metadata.uid ?? "");
    return projectionsOf(pod).some(
      (projection) => (held?.get(keyOf(projection))?.refreshMs ?? 0) <= now,
    );
  }

  async #bringUpToDate(
    pod: Pod,
    projection: ServiceAccountTokenProjection,
    held: Map<string, Entry>,
  ): Promise<void> {
    const { clock, logger } = this.#options;
    const present = held.get(keyOf(projection));
    if (present !== undefined && clock.now() < present.refreshMs) return;
    try {
      held.set(keyOf(projection), await this.#askSoon(pod, projection));
    } catch (error) {
      // The one that is there does as long as it lasts.
      if (present === undefined || clock.now() >= present.expiresMs) {
        const why = `failed to fetch token: ${messageOf(error)}`;
        const what = `MountVolume.SetUp failed for volume "${volumeOf(pod)}" : ${why}`;
        throw new VolumeError(what, { cause: error });
      }
      const { namespace, name } = pod.metadata;
      logger.warn("a token is not renewed yet", { namespace, name, error: messageOf(error) });
    }
  }

  /** A pod may be here before its namespace has its account. */
  async #askSoon(pod: Pod, projection: ServiceAccountTokenProjection): Promise<Entry> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#ask(pod, projection);
      } catch (error) {
        if (!isNotFound(error) || attempt >= MAX_EARLY_ATTEMPTS) throw error;
        await sleep(this.#options.clock, EARLY_DELAY_MS * 2 ** attempt);
      }
    }
  }

  async #ask(pod: Pod, { audience = "", expirationSeconds }: ServiceAccountTokenProjection) {
    const { client, clock } = this.#options;
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    const seconds = expirationSeconds ?? DEFAULT_SECONDS;
    const answer = await client
      .resource(SERVICE_ACCOUNTS, namespace)
      .createSubresource<TokenRequest>(pod.spec?.serviceAccountName ?? "", "token", {
        kind: "TokenRequest",
        apiVersion: "authentication.k8s.io/v1",
        spec: {
          audiences: audience === "" ? [] : [audience],
          expirationSeconds: seconds,
          boundObjectRef: { kind: "Pod", apiVersion: "v1", name, uid },
        },
      });
    const { token = "", expirationTimestamp = "" } = answer.status ?? {};
    const expiresMs = parseRfc3339(expirationTimestamp);
    const lifetimeMs = Math.min(seconds * 1000 * USED_SHARE, DAY_MS);
    return { token, expiresMs, refreshMs: clock.now() + lifetimeMs };
  }
}

function projectionsOf({ spec }: Pod): ServiceAccountTokenProjection[] {
  return (spec?.volumes ?? []).flatMap(({ projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []),
  );
}

function volumeOf({ spec }: Pod): string {
  const projecting = (spec?.volumes ?? []).find(({ projected }) =>
    (projected?.sources ?? []).some((source) => source.serviceAccountToken !== undefined),
  );
  return projecting?.name ?? "";
}

function keyOf({ audience = "", expirationSeconds }: ServiceAccountTokenProjection): string {
  return `${expirationSeconds ?? DEFAULT_SECONDS} ${audience}`;
}

/** What a volume projects was asked for before it is written. */
function noToken({ path }: ServiceAccountTokenProjection): never {
  throw new Error(`there is no token for ${path}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
