import { findKind } from "../api/index.ts";
import {
  getField,
  isJsonObject,
  isStatusError,
  jsonEquals,
  type KubeObject,
  parseApiVersion,
} from "../apimachinery/index.ts";
import { assert, type Logger } from "../lib/index.ts";
import type { Registry, ResourceRegistry } from "../registry/index.ts";
import {
  type BootstrapObject,
  bootstrapObjects,
  KUBERNETES_SLICE_LABELS,
  type ServerEndpoint,
} from "./bootstrap-objects.ts";
import { complete } from "./object-intake.ts";
import { bootstrapPolicy } from "./rbac/bootstrap-policy.ts";

export interface BootstrapOptions {
  readonly registry: Registry;
  readonly logger: Logger;
  /** Where the API servers are reached from nodes: the endpoints of the kubernetes Service. */
  readonly servers: readonly ServerEndpoint[];
}

/** Creates what every cluster has and is missing here. Safe to run at every start. */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const { registry, logger, servers } = options;
  const { serviceCidr, kubernetesServiceIp } = registry;
  const objects = bootstrapObjects({ serviceCidr, kubernetesServiceIp, servers });
  for (const wanted of objects) {
    const { kind, metadata } = wanted.object;
    const done = await ensure(registry, wanted);
    if (done !== "kept") logger.debug("bootstrap", { done, kind, name: metadata.name });
  }
  await bootstrapPolicy(registry);
  await removeFormerSlices(registry, objects);
}

/** Servers that are gone are no endpoints any more. */
async function removeFormerSlices(
  registry: Registry,
  objects: readonly BootstrapObject[],
): Promise<void> {
  const wanted = objects.map(({ object }) => object).filter(({ kind }) => kind === "EndpointSlice");
  const [slice] = wanted;
  if (slice === undefined) return;
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const slices = resourceOf(registry, slice);
  const { items } = await slices.list({ namespace: "default" });
  for (const { object } of items) {
    const { name = "", labels = {} } = object.metadata;
    const ours = Object.entries(KUBERNETES_SLICE_LABELS).every(
      ([key, text]) => labels[key] === text,
    );
    if (ours && !names.has(name)) await slices.delete("default", name);
  }
}

type Done = "created" | "replaced" | "kept" | "refused";

async function ensure(registry: Registry, wanted: BootstrapObject): Promise<Done> {
  const { object, existing } = wanted;
  const resource = resourceOf(registry, object);
  const { name = "", namespace = "" } = object.metadata;
  const present = await find(resource, namespace, name);
  if (present === undefined) {
    if (existing.rule !== "offer") return create(resource, namespace, object);
    return create(resource, namespace, object).catch((error: unknown): Done => {
      if (isStatusError(error, "Invalid")) return "refused";
      throw error;
    });
  }
  switch (existing.rule) {
    case "keep":
    case "offer":
      return "kept";
    case "replace":
      return replace(resource, object, present);
    case "recreate": {
      if (jsonEquals(at(present, existing.field), at(object, existing.field))) return "kept";
      await resource.delete(namespace, name, { gracePeriodSeconds: 0 });
      return create(resource, namespace, object);
    }
  }
}

async function create(
  resource: ResourceRegistry,
  namespace: string,
  object: KubeObject,
): Promise<Done> {
  complete(resource.definition, object);
  await resource.create(namespace, object);
  return "created";
}

/** Keeps the metadata of what is there and makes the rest what is wanted. */
async function replace(
  resource: ResourceRegistry,
  object: KubeObject,
  present: Readonly<KubeObject>,
): Promise<Done> {
  complete(resource.definition, object);
  const { name = "", namespace = "" } = present.metadata;
  const { stored } = await resource.update(namespace, name, (current) => ({
    ...structuredClone(object),
    metadata: current.metadata,
  }));
  return stored.object.metadata.resourceVersion === present.metadata.resourceVersion
    ? "kept"
    : "replaced";
}

async function find(
  resource: ResourceRegistry,
  namespace: string,
  name: string,
): Promise<Readonly<KubeObject> | undefined> {
  try {
    return (await resource.get(namespace, name)).object;
  } catch (error) {
    if (isStatusError(error, "NotFound")) return undefined;
    throw error;
  }
}

function resourceOf(registry: Registry, { apiVersion = "", kind = "" }: KubeObject) {
  const groupVersion = parseApiVersion(apiVersion);
  const definition = groupVersion && findKind(groupVersion.group, groupVersion.version, kind);
  assert(definition !== undefined, `${kind} of ${apiVersion} is served`);
  return registry.resource(definition);
}

function at(object: Readonly<KubeObject>, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, field) => (isJsonObject(value) ? getField(value, field) : undefined),
    object,
  );
}
