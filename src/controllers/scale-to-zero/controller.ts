import { labelSelectorFrom, matchesLabels, parseRfc3339 } from "../../apimachinery/index.ts";
import type { autoscalingV2, Deployment, Pod, Service } from "../../api/index.ts";
import {
  ApiError,
  DEPLOYMENTS,
  HORIZONTAL_POD_AUTOSCALERS,
  isNotFound,
  keyOf,
  objectKey,
  POD_METRICS,
  PODS,
  SERVICES,
  splitKey,
} from "../../client/index.ts";
import type { EventRecorder, Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import { recorderFor, type ControllerContext } from "../controller-context.ts";
import { everyChange } from "../every-change.ts";
import { isPodActive } from "../pod-state.ts";
import { runController } from "../run-controller.ts";
import { planSleep, SCALE_DOWN_WINDOW_MS, wishedReplicas, type SleepPlan } from "./plan.ts";
import { readSleepSettings, SCALE_TO_ZERO, type SleepSettings } from "./settings.ts";
import { trafficOf } from "./traffic.ts";

/** On a Service, for the proxies: whom they scale up from zero when somebody asks it. */
export const WAKES_DEPLOYMENT = "kubun.dev/wakes-deployment";
/** What was decided about is looked at again so soon after it changed. */
const CHANGED_RETRY_MS = 500;
const UNPROCESSABLE = 422;

/** Scales Deployments that ask for it to zero when nobody needs them, and tells who wakes them. */
export function startScaleToZeroController(context: ControllerContext): void {
  new ScaleToZeroController(context).start();
}

interface Wish {
  readonly atMs: number;
  readonly replicas: number;
}

class ScaleToZeroController {
  readonly #context: ControllerContext;
  readonly #deployments: Informer<Deployment>;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #autoscalers: Informer<autoscalingV2.HorizontalPodAutoscaler>;
  readonly #recorder: EventRecorder;
  readonly #wishes = new Map<string, readonly Wish[]>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#deployments = context.informers.for(DEPLOYMENTS);
    this.#services = context.informers.for(SERVICES);
    this.#pods = context.informers.for(PODS);
    this.#autoscalers = context.informers.for(HORIZONTAL_POD_AUTOSCALERS);
    this.#recorder = recorderFor(context, "scale-to-zero-controller");
  }

  start(): void {
    const deployments = runController(this.#context, {
      name: "scale-to-zero",
      informers: [this.#deployments, this.#pods, this.#autoscalers],
      allKeys: () => this.#deployments.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    const services = runController(this.#context, {
      name: "scale-to-zero-services",
      informers: [this.#deployments, this.#services],
      allKeys: () => this.#services.lister.keys(),
      reconcile: (key) => this.#mark(key),
    });
    this.#services.addHandler(everyChange((service) => services.add(keyOf(service))));
    this.#deployments.addHandler({
      onAdd: (deployment) => this.#changed(deployment, { deployments, services }),
      onUpdate: (old, next) => {
        if (hasChanged(old, next)) this.#changed(next, { deployments, services });
      },
      onDelete: (deployment) => this.#changed(deployment, { deployments, services }),
    });
  }

  #changed(
    deployment: Deployment,
    queues: { readonly deployments: WorkQueue; readonly services: WorkQueue },
  ): void {
    queues.deployments.add(keyOf(deployment));
    const { namespace = "" } = deployment.metadata;
    for (const service of this.#services.lister.list({ namespace })) {
      queues.services.add(keyOf(service));
    }
  }

  async #reconcile(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const deployment = this.#deployments.lister.get(namespace, name);
    const settings = deployment === undefined ? undefined : readSleepSettings(deployment);
    if (deployment === undefined || typeof settings !== "object") {
      this.#wishes.delete(key);
      if (deployment !== undefined && typeof settings === "string") {
        this.#recorder.event(typed(deployment), "Warning", "InvalidAnnotation", settings);
      }
      return {};
    }
    const plan = await this.#plan(deployment, settings);
    switch (plan.type) {
      case "wait":
        return plan.againMs === undefined ? {} : { requeueAfterMs: plan.againMs };
      case "sleep": {
        const why = `nothing asked for it for ${settings.idleMs / 1000}s`;
        const done = await this.#scale(deployment, 0, why);
        return done ? {} : { requeueAfterMs: CHANGED_RETRY_MS };
      }
      case "scale":
        await this.#scale(deployment, plan.replicas, "requests under way");
        return { requeueAfterMs: plan.againMs };
    }
  }

  async #plan(deployment: Deployment, settings: SleepSettings): Promise<SleepPlan> {
    const { namespace = "", name = "" } = deployment.metadata;
    const replicas = deployment.spec?.replicas ?? 1;
    const nowMs = this.#context.clock.now();
    if (replicas === 0) return { type: "wait" };
    const selector = labelSelectorFrom(deployment.spec?.selector);
    const pods = this.#pods.lister
      .list({ namespace })
      .filter((pod) => isPodActive(pod) && matchesLabels(selector, pod.metadata.labels));
    const { items } = await this.#context.client.resource(POD_METRICS, namespace).list();
    const names = new Set(pods.map(({ metadata }) => metadata.name));
    const traffic = trafficOf(items.filter(({ metadata }) => names.has(metadata.name)));
    const key = objectKey(namespace, name);
    const wished = (this.#wishes.get(key) ?? []).filter(
      ({ atMs }) => nowMs - atMs < SCALE_DOWN_WINDOW_MS,
    );
    if (settings.concurrency !== undefined && traffic !== undefined) {
      const wish = { atMs: nowMs, replicas: wishedReplicas(settings, traffic.inFlight) };
      this.#wishes.set(key, [...wished, wish]);
    }
    const readySinceMs = pods.flatMap(readySince);
    const autoscaled = this.#isAutoscaled(namespace, name);
    return planSleep({ settings, replicas, readySinceMs, traffic, wished, autoscaled, nowMs });
  }

  #isAutoscaled(namespace: string, name: string): boolean {
    return this.#autoscalers.lister.list({ namespace }).some(({ spec }) => {
      const target = spec?.scaleTargetRef;
      return target?.kind === "Deployment" && target.name === name;
    });
  }

  /**
   * Holds for the Deployment as it was looked at: one that has slept and been woken since then has
   * the same number of replicas. False: it has changed, and is to be looked at again.
   */
  async #scale(deployment: Deployment, replicas: number, why: string): Promise<boolean> {
    const { namespace = "", name = "", resourceVersion } = deployment.metadata;
    const patch = [
      { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
      { op: "replace", path: "/spec/replicas", value: replicas },
    ];
    try {
      const resource = this.#context.client.resource(DEPLOYMENTS, namespace);
      await resource.patch(name, patch, { type: "json", subresource: "scale" });
    } catch (error) {
      if (isNotFound(error)) return true;
      if (error instanceof ApiError && error.code === UNPROCESSABLE) return false;
      throw error;
    }
    const reason = replicas === 0 ? "ScaledToZero" : "ScaledByConcurrency";
    const text = `Scaled to ${replicas}: ${why}`;
    this.#recorder.event(typed(deployment), "Normal", reason, text);
    return true;
  }

  /** Tells the proxies, on the Service, whom to wake. */
  async #mark(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const service = this.#services.lister.get(namespace, name);
    if (service === undefined) return;
    const wanted = this.#wakenBy(service);
    if ((service.metadata.annotations?.[WAKES_DEPLOYMENT] ?? null) === wanted) return;
    const patch = { metadata: { annotations: { [WAKES_DEPLOYMENT]: wanted } } };
    try {
      const services = this.#context.client.resource(SERVICES, namespace);
      await services.patch(name, patch, { type: "merge" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** The Deployment whose pods a Service leads to, when that one may sleep; null for none. */
  #wakenBy({ metadata, spec }: Service): string | null {
    const wanted = Object.entries(spec?.selector ?? {});
    if (wanted.length === 0) return null;
    const found = this.#deployments.lister
      .list({ namespace: metadata.namespace ?? "" })
      .filter((deployment) => {
        const labels = deployment.spec?.template?.metadata?.labels ?? {};
        const sleeps = typeof readSleepSettings(deployment) === "object";
        return sleeps && wanted.every(([name, value]) => labels[name] === value);
      })
      .map((deployment) => deployment.metadata.name ?? "")
      .sort();
    return found[0] ?? null;
  }
}

/** Status comes and goes without any meaning for who sleeps. */
function hasChanged(old: Deployment, next: Deployment): boolean {
  return (
    old.metadata.annotations?.[SCALE_TO_ZERO] !== next.metadata.annotations?.[SCALE_TO_ZERO] ||
    old.metadata.generation !== next.metadata.generation ||
    JSON.stringify(old.metadata.annotations) !== JSON.stringify(next.metadata.annotations)
  );
}

function readySince({ status }: Pod): number[] {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True" ? [parseRfc3339(ready.lastTransitionTime ?? "")] : [];
}

function typed(deployment: Deployment): Deployment {
  return { ...deployment, apiVersion: "apps/v1", kind: "Deployment" };
}
