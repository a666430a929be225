import type { Endpoints, EndpointSlice, Pod, Service } from "../../api/index.ts";
import {
  ENDPOINT_SLICES,
  ENDPOINTS,
  isAlreadyExists,
  isNamespaceTerminating,
  keyOf,
  objectKey,
  PODS,
  SERVICES,
  splitKey,
} from "../../client/index.ts";
import type { Informer, ReconcileResult, WorkQueue } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { deepEqual } from "../deep-equal.ts";
import { deleteExactly } from "../delete-exactly.ts";
import { everyChange } from "../every-change.ts";
import { OwnWrites } from "../own-writes.ts";
import { restAfter } from "../rest-after.ts";
import { runController } from "../run-controller.ts";
import {
  ENDPOINTS_MANAGED_BY,
  ENDPOINTS_MANAGED_BY_LABEL,
  legacyEndpoints,
} from "./legacy-endpoints.ts";
import { MANAGED_BY, MANAGED_BY_LABEL, planSlices, SERVICE_NAME_LABEL } from "./plan.ts";
import type { SliceAction } from "./plan.ts";

const SERVICE_INDEX = "service";

/** Keeps EndpointSlices, and the older Endpoints, of every Service that selects pods. */
export function startEndpointSliceController(context: ControllerContext): void {
  new EndpointSliceController(context).start();
}

class EndpointSliceController {
  readonly #context: ControllerContext;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #endpoints: Informer<Endpoints>;
  readonly #sliceWrites: OwnWrites<EndpointSlice>;
  readonly #endpointsWrites: OwnWrites<Endpoints>;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#services = context.informers.for(SERVICES);
    this.#pods = context.informers.for(PODS);
    this.#slices = context.informers.for(ENDPOINT_SLICES);
    this.#endpoints = context.informers.for(ENDPOINTS);
    this.#sliceWrites = new OwnWrites(this.#slices);
    this.#endpointsWrites = new OwnWrites(this.#endpoints);
  }

  start(): void {
    this.#slices.addIndex(SERVICE_INDEX, (slice) => [serviceKeyOf(slice) ?? ""]);
    const queue = runController(this.#context, {
      name: "endpointslice",
      informers: [this.#services, this.#pods, this.#slices, this.#endpoints],
      allKeys: () => this.#services.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#services.addHandler(everyChange((service) => queue.add(keyOf(service))));
    const relabelled = (old: Pod, pod: Pod): boolean =>
      !deepEqual(old.metadata.labels, pod.metadata.labels);
    const enqueueServices = (pod: Pod): void => this.#enqueueFor(queue, pod);
    this.#pods.addHandler(everyChange(enqueueServices, relabelled));
    const restore = (slice: EndpointSlice): void => {
      const key = serviceKeyOf(slice);
      if (key !== undefined) queue.add(key);
    };
    this.#slices.addHandler(everyChange(restore));
    this.#endpoints.addHandler({ onDelete: (endpoints) => queue.add(keyOf(endpoints)) });
  }

  #enqueueFor(queue: WorkQueue, pod: Pod): void {
    for (const service of this.#services.lister.list({ namespace: pod.metadata.namespace ?? "" })) {
      if (selects(service, pod)) queue.add(keyOf(service));
    }
  }

  async #reconcile(key: string): Promise<ReconcileResult> {
    const { namespace, name } = splitKey(key);
    const service = this.#services.lister.get(namespace, name);
    const slices = this.#slicesOf(key);
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
      for (const slice of slices) await this.#doSlice({ type: "delete", slice });
      await this.#deleteEndpoints(namespace, name);
      return {};
    }
    // Without a selector the endpoints are somebody else's to keep.
    if (service.spec?.selector === undefined || service.spec.type === "ExternalName") return {};
    const pods = this.#pods.lister.list({ namespace, where: (pod) => selects(service, pod) });
    try {
      for (const action of planSlices({ service, pods, slices })) await this.#doSlice(action);
      await this.#writeEndpoints(legacyEndpoints(service, pods));
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
    return { restMs: restAfter(pods.length) };
  }

  #slicesOf(key: string): readonly EndpointSlice[] {
    return this.#sliceWrites
      .list(this.#slices.lister.byIndex(SERVICE_INDEX, key), (slice) => serviceKeyOf(slice) === key)
      .filter((slice) => !this.#sliceWrites.isDeleted(slice));
  }

  async #doSlice(action: SliceAction): Promise<void> {
    const slices = this.#context.client.resource(ENDPOINT_SLICES, action.slice.metadata.namespace);
    switch (action.type) {
      case "create":
        this.#sliceWrites.wrote(await slices.create(action.slice));
        break;
      case "update":
        this.#sliceWrites.wrote(await slices.update(action.slice));
        break;
      case "delete":
        await deleteExactly(slices, action.slice);
        this.#sliceWrites.deleted(action.slice);
        break;
      default:
        unreachable(action);
    }
  }

  async #writeEndpoints(wanted: Endpoints): Promise<void> {
    const { namespace = "", name = "", labels, annotations } = wanted.metadata;
    const known = this.#endpointsWrites.get(namespace, name);
    const endpoints = this.#context.client.resource(ENDPOINTS, namespace);
    if (known === undefined) {
      try {
        this.#endpointsWrites.wrote(await endpoints.create(wanted));
      } catch (error) {
        // Its event is on its way, and with it another look.
        if (!isAlreadyExists(error)) throw error;
      }
      return;
    }
    const same =
      deepEqual(known.subsets ?? [], wanted.subsets ?? []) &&
      deepEqual(known.metadata.labels, labels) &&
      deepEqual(known.metadata.annotations ?? {}, annotations ?? {});
    if (same) return;
    const metadata = { ...known.metadata, ...wanted.metadata };
    this.#endpointsWrites.wrote(await endpoints.update({ ...wanted, metadata }));
  }

  async #deleteEndpoints(namespace: string, name: string): Promise<void> {
    const known = this.#endpointsWrites.get(namespace, name);
    if (known?.metadata.labels?.[ENDPOINTS_MANAGED_BY_LABEL] !== ENDPOINTS_MANAGED_BY) return;
    if (this.#endpointsWrites.isDeleted(known)) return;
    await deleteExactly(this.#context.client.resource(ENDPOINTS, namespace), known);
    this.#endpointsWrites.deleted(known);
  }
}

function selects(service: Service, pod: Pod): boolean {
  const { selector } = service.spec ?? {};
  if (selector === undefined || service.metadata.namespace !== pod.metadata.namespace) return false;
  const labels = pod.metadata.labels ?? {};
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** The Service a slice of ours belongs to; undefined for the slices of others. */
function serviceKeyOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  const ours = metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY;
  return ours && name !== undefined ? objectKey(metadata.namespace, name) : undefined;
}
