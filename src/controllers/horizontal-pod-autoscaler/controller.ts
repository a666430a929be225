import { deepEqual } from "../deep-equal.ts";
import { recorderFor, type ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { trimHistory, type ScaleHistory } from "./behavior.ts";
import { proposalsFor, statusOfMetric } from "./measure.ts";
import { planAutoscaler, type Condition, type Proposal } from "./plan.ts";
import { matchesLabels, parseLabelSelector, rfc3339 } from "../../apimachinery/index.ts";
import type { autoscalingV1, autoscalingV2, Pod } from "../../api/index.ts";
import {
  HORIZONTAL_POD_AUTOSCALERS,
  isNotFound,
  keyOf,
  POD_METRICS,
  PODS,
  splitKey,
} from "../../client/index.ts";
import type { EventRecorder, Informer, ReconcileResult } from "../../client/index.ts";

type Autoscaler = autoscalingV2.HorizontalPodAutoscaler;
type Scale = autoscalingV1.Scale;

/** As often as Kubernetes does by default. */
export const SYNC_INTERVAL_MS = 15_000;
const NONE: ScaleHistory = { recommendations: [], changes: [] };
const TYPE = { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" } as const;
/** The kinds that have a scale, by kind: what leads to it in the API. */
const SCALABLE: Readonly<Record<string, string>> = {
  Deployment: "/apis/apps/v1/namespaces/NS/deployments/NAME/scale",
  ReplicaSet: "/apis/apps/v1/namespaces/NS/replicasets/NAME/scale",
  StatefulSet: "/apis/apps/v1/namespaces/NS/statefulsets/NAME/scale",
  ReplicationController: "/api/v1/namespaces/NS/replicationcontrollers/NAME/scale",
};

/** Makes workloads larger and smaller by what their pods use. */
export function startHorizontalPodAutoscaler(context: ControllerContext): void {
  new AutoscalerController(context).start();
}

class AutoscalerController {
  readonly #context: ControllerContext;
  readonly #autoscalers: Informer<Autoscaler>;
  readonly #pods: Informer<Pod>;
  readonly #recorder: EventRecorder;
  /** Recommendations and changes of this term; a new leader begins without any. */
  readonly #histories = new Map<string, ScaleHistory>();
  /** When each autoscaler was looked at last: a change of its own status is no reason. */
  readonly #status = new Map<string, Autoscaler["status"]>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#autoscalers = context.informers.for(HORIZONTAL_POD_AUTOSCALERS);
    this.#pods = context.informers.for(PODS);
    this.#recorder = recorderFor(context, "horizontal-pod-autoscaler");
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "horizontal-pod-autoscaler",
      informers: [this.#autoscalers, this.#pods],
      allKeys: () => this.#autoscalers.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#autoscalers.addHandler({
      onAdd: (autoscaler) => queue.add(keyOf(autoscaler)),
      onUpdate: (old, next) => {
        if (!deepEqual(old.spec, next.spec)) queue.add(keyOf(next));
      },
      onDelete: (autoscaler) => queue.add(keyOf(autoscaler)),
    });
  }

  async #reconcile(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const autoscaler = this.#autoscalers.lister.get(namespace, name);
    if (autoscaler === undefined) {
      this.#histories.delete(key);
      this.#status.delete(key);
      return {};
    }
    const again = { requeueAfterMs: SYNC_INTERVAL_MS };
    const target = await this.#scaleOf(autoscaler);
    if (typeof target === "string") {
      this.#recorder.event(typed(autoscaler), "Warning", "FailedGetScale", target);
      const message = `the HPA controller was unable to get the target's current scale: ${target}`;
      const failed = { type: "AbleToScale", status: "False", reason: "FailedGetScale" } as const;
      await this.#writeStatus(key, autoscaler, { conditions: [{ ...failed, message }] });
      return again;
    }
    await this.#autoscale(key, autoscaler, target);
    return again;
  }

  async #autoscale(key: string, autoscaler: Autoscaler, scale: Scale): Promise<void> {
    const { namespace = "" } = autoscaler.metadata;
    const nowMs = this.#context.clock.now();
    const current = scale.spec?.replicas ?? 0;
    const proposals = current === 0 ? [] : await this.#measure(autoscaler, scale);
    const history = trimHistory(this.#histories.get(key) ?? NONE, nowMs);
    const plan = planAutoscaler({ autoscaler, current, proposals, history, nowMs });
    const { desired, recommendation } = plan;
    for (const { failure, result } of proposals) {
      if (result.type === "replicas") continue;
      this.#recorder.event(typed(autoscaler), "Warning", failure, result.message);
    }
    const changes = desired === current ? [] : [{ atMs: nowMs, by: desired - current }];
    if (desired !== current) {
      await this.#putScale(namespace, autoscaler, { ...scale, spec: { replicas: desired } });
      const text = `New size: ${desired}; reason: ${plan.reason}`;
      this.#recorder.event(typed(autoscaler), "Normal", "SuccessfulRescale", text);
    }
    const asked = recommendation === undefined ? [] : [{ atMs: nowMs, replicas: recommendation }];
    this.#histories.set(key, {
      recommendations: [...history.recommendations, ...asked],
      changes: [...history.changes, ...changes],
    });
    const { metrics = [] } = autoscaler.spec ?? {};
    const measured = metrics.flatMap((metric, index) => {
      const proposal = proposals[index];
      return proposal === undefined ? [] : (statusOfMetric(metric, proposal) ?? []);
    });
    await this.#writeStatus(key, autoscaler, {
      conditions: plan.conditions,
      currentReplicas: scale.status?.replicas ?? 0,
      desiredReplicas: desired,
      currentMetrics: measured,
      ...(desired === current ? {} : { lastScaleTime: rfc3339(nowMs) }),
    });
  }

  async #measure(autoscaler: Autoscaler, scale: Scale): Promise<Proposal[]> {
    const { namespace = "" } = autoscaler.metadata;
    const labelSelector = scale.status?.selector ?? "";
    const selector = parseLabelSelector(labelSelector);
    const pods = this.#pods.lister.list({
      namespace,
      where: ({ metadata }) => matchesLabels(selector, metadata.labels),
    });
    const list = await this.#context.client
      .resource(POD_METRICS, namespace)
      .list({ labelSelector });
    return proposalsFor({
      autoscaler,
      pods,
      metrics: list.items,
      currentReplicas: scale.spec?.replicas ?? 0,
      nowMs: this.#context.clock.now(),
    });
  }

  /** A sentence when the target has no scale, or is not there. */
  async #scaleOf(autoscaler: Autoscaler): Promise<Scale | string> {
    const path = scalePath(autoscaler);
    const { kind, name } = autoscaler.spec?.scaleTargetRef ?? NO_TARGET;
    if (path === undefined) return `no kind ${kind} has a scale here`;
    const answer = await this.#context.client.raw(path);
    if (answer.ok) return (await answer.json()) as Scale;
    if (answer.status === 404) return `${kind} "${name}" not found`;
    throw new Error(`${path}: ${answer.status}`);
  }

  async #putScale(namespace: string, autoscaler: Autoscaler, scale: Scale): Promise<void> {
    const path = scalePath(autoscaler) ?? "";
    const answer = await this.#context.client.raw(path, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(scale),
    });
    if (!answer.ok) throw new Error(`${namespace}: ${path}: ${answer.status}`);
  }

  async #writeStatus(key: string, autoscaler: Autoscaler, told: Told): Promise<void> {
    const { conditions: fresh, ...numbers } = told;
    const before = this.#status.get(key) ?? autoscaler.status;
    const now = rfc3339(this.#context.clock.now());
    const conditions = fresh.map((condition) => {
      const old = before?.conditions?.find(({ type }) => type === condition.type);
      const same = old?.status === condition.status;
      return { ...condition, lastTransitionTime: same ? (old.lastTransitionTime ?? now) : now };
    });
    const kept = (before?.conditions ?? []).filter(
      ({ type }) => !conditions.some((condition) => condition.type === type),
    );
    const status: NonNullable<Autoscaler["status"]> = {
      desiredReplicas: 0,
      ...before,
      ...numbers,
      conditions: [...conditions, ...kept],
    };
    if (deepEqual(status, before)) return;
    const { namespace, name = "" } = autoscaler.metadata;
    const resource = this.#context.client.resource(HORIZONTAL_POD_AUTOSCALERS, namespace);
    try {
      const latest = this.#autoscalers.lister.get(namespace ?? "", name) ?? autoscaler;
      const { resourceVersion: _, ...metadata } = latest.metadata;
      await resource.updateStatus({ ...typed(latest), metadata, status });
      this.#status.set(key, status);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

type Told = Partial<Omit<NonNullable<Autoscaler["status"]>, "conditions">> & {
  readonly conditions: readonly Condition[];
};

const NO_TARGET = { kind: "", name: "" };

function scalePath({ metadata, spec }: Autoscaler): string | undefined {
  const { kind, name } = spec?.scaleTargetRef ?? NO_TARGET;
  return SCALABLE[kind]
    ?.replace("NS", encodeURIComponent(metadata.namespace ?? ""))
    .replace("NAME", encodeURIComponent(name));
}

function typed(autoscaler: Autoscaler): Autoscaler {
  return { ...autoscaler, ...TYPE };
}
