import { type autoscalingV1, type ScaleMapping, schemaOf } from "../../api/index.ts";
import {
  apiVersionOf,
  conflict,
  type FieldError,
  forbidden,
  getField,
  invalid,
  invalidField,
  isJsonObject,
  type JsonObject,
  type KubeObject,
  labelSelectorFrom,
  labelSelectorOfSet,
  labelSelectorText,
  type ManagedFieldsEntry,
  type MetaLabelSelector,
  notFound,
} from "../../apimachinery/index.ts";
import type { StoredObject, UpdateOptions } from "../../registry/index.ts";
import { answerObject, wantsPretty } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { applyTo, readConfiguration } from "../apply-handler.ts";
import { ownersOfUpdate } from "../field-ownership.ts";
import { mediaTypeOf } from "../media-type.ts";
import { APPLY_PATCH, readPatch } from "../patch-handler.ts";
import { applyQueryOf, writeQueryOf } from "../query-options.ts";
import { nodeNameOf } from "../user.ts";
import { asTyped, readTyped, type SentKind } from "../typed-body.ts";

type Scale = autoscalingV1.Scale;

const SCALE_TO_ZERO = "kubun.dev/scale-to-zero";

const SCALE: SentKind = {
  kind: "Scale",
  apiVersion: "autoscaling/v1",
  typeName: "autoscaling.v1.Scale",
};

/** GET …/scale: the size of a workload, alike for every kind that has one. */
export async function getScale(api: ApiRequest): Promise<Response> {
  return answerScale(api, await api.resource.get(api.namespace, api.target.name));
}

/** PUT …/scale */
export async function replaceScale(api: ApiRequest): Promise<Response> {
  const { dryRun, fieldValidation } = writeQueryOf(api.query, "UpdateOptions");
  const { warnings } = api;
  const scale = await readTyped<Scale>(api.request, SCALE, { fieldValidation, warnings });
  return writeScale(api, () => scale, { dryRun });
}

/** PATCH …/scale: the patch changes the Scale, and that changes the workload. */
export async function patchScale(api: ApiRequest): Promise<Response> {
  if (isApply(api.request)) return applyScale(api);
  const { dryRun, fieldValidation } = writeQueryOf(api.query, "PatchOptions");
  const unknownFields = { fieldValidation, warnings: api.warnings };
  const patch = await readPatch(api.request);
  const change = (current: Scale): Scale =>
    asTyped<Scale>(patch.apply(schemaOf(SCALE.typeName), current), SCALE, unknownFields);
  return writeScale(api, change, { dryRun, retryConflicts: true });
}

/** Applies a Scale: it owns the number of replicas, and conflicts are about nothing else. */
async function applyScale(api: ApiRequest): Promise<Response> {
  const query = applyQueryOf(api.query);
  const value = await readConfiguration(api, query);
  const { definition } = api;
  let owners: ManagedFieldsEntry[] | undefined;
  const change = (current: KubeObject): KubeObject => {
    const before = scaleOf(current, mappingOf(api));
    const sent = asTyped<Scale>(structuredClone(value), SCALE);
    const scale = { ...sent, metadata: { ...before.metadata, ...sent.metadata } };
    assertWritable(api, current, before, scale);
    const type = { kind: definition.kind, apiVersion: apiVersionOf(definition) };
    const bare: KubeObject = { ...type, metadata: { name: api.target.name } };
    const replicas = sent.spec?.replicas;
    const configuration =
      replicas === undefined ? bare : withReplicas(bare, mappingOf(api), replicas);
    const applied = applyTo(api, current, configuration, query);
    owners = applied.managedFields;
    return applied.object;
  };
  const { stored } = await api.resource.update(api.namespace, api.target.name, change, {
    dryRun: query.dryRun,
    retryConflicts: true,
    trackOwners: () => owners,
  });
  return answerScale(api, stored);
}

function isApply(request: Request): boolean {
  return mediaTypeOf(request.headers.get("content-type")) === APPLY_PATCH;
}

async function writeScale(
  api: ApiRequest,
  change: (current: Scale) => Scale,
  options: UpdateOptions,
): Promise<Response> {
  const { target, namespace } = api;
  const { stored } = await api.resource.update(
    namespace,
    target.name,
    (current) => {
      const before = scaleOf(current, mappingOf(api));
      const scale = change(before);
      assertWritable(api, current, before, scale);
      return withReplicas(current, mappingOf(api), scale.spec?.replicas ?? 0);
    },
    // What is written here follows from the present state, and what the client demands of that
    // state has just been checked: losing a race is no conflict.
    { ...options, retryConflicts: true, trackOwners: ownersOfUpdate(api) },
  );
  return answerScale(api, stored);
}

function assertWritable(
  api: ApiRequest,
  current: Readonly<KubeObject>,
  before: Scale,
  scale: Scale,
): void {
  const { name } = api.target;
  assertScale(scale, name);
  const version = scale.metadata.resourceVersion ?? "";
  if (version !== "" && version !== before.metadata.resourceVersion) {
    throw conflict(api.definition, name);
  }
  assertMayScale(api, current, before, scale);
}

/**
 * A node's key wakes what sleeps, for its proxy, and does nothing else: one replica for a
 * Deployment that has none and says that it may be put to sleep.
 */
function assertMayScale(
  api: ApiRequest,
  current: Readonly<KubeObject>,
  before: Scale,
  after: Scale,
): void {
  if (nodeNameOf(api.user) === undefined) return;
  const sleeps = current.metadata.annotations?.[SCALE_TO_ZERO] !== undefined;
  const wakes = before.spec?.replicas === 0 && after.spec?.replicas === 1;
  if (sleeps && wakes) return;
  const why = "nodes can only scale from zero to one, and only what may be scaled to zero";
  throw forbidden(api.definition, api.target.name, why);
}

function answerScale(api: ApiRequest, stored: StoredObject): Promise<Response> {
  const pretty = wantsPretty(api.request, api.query);
  const { warnings, media } = api;
  return answerObject(scaleOf(stored.object, mappingOf(api)), media, { pretty, warnings });
}

function mappingOf({ definition, target }: ApiRequest): ScaleMapping {
  if (definition.scale === undefined) throw notFound(definition, target.name);
  return definition.scale;
}

function scaleOf(object: Readonly<KubeObject>, mapping: ScaleMapping): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = at(object, mapping.selectorPath);
  return {
    kind: SCALE.kind,
    apiVersion: SCALE.apiVersion,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as Scale["metadata"],
    spec: { replicas: Number(at(object, mapping.specReplicasPath) ?? 0) },
    status: {
      replicas: Number(at(object, mapping.statusReplicasPath) ?? 0),
      ...(selector === undefined ? {} : { selector: selectorText(selector, mapping) }),
    },
  };
}

function selectorText(selector: unknown, { selectorForm }: ScaleMapping): string {
  if (selectorForm === "text") return typeof selector === "string" ? selector : "";
  return labelSelectorText(
    selectorForm === "label-map"
      ? labelSelectorOfSet(selector as Record<string, string>)
      : labelSelectorFrom(selector as MetaLabelSelector),
  );
}

function at(object: Readonly<KubeObject>, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, field) => (isJsonObject(value) ? getField(value, field) : undefined),
    object,
  );
}

function withReplicas(object: KubeObject, mapping: ScaleMapping, replicas: number): KubeObject {
  const parents = mapping.specReplicasPath.slice(0, -1);
  let parent = object as JsonObject;
  for (const field of parents) {
    if (!isJsonObject(parent[field])) parent[field] = {};
    parent = parent[field] as JsonObject;
  }
  parent[mapping.specReplicasPath.at(-1) ?? "replicas"] = replicas;
  return object;
}

function assertScale({ metadata, spec }: Scale, name: string): void {
  const errors: FieldError[] = [];
  const replicas = spec?.replicas ?? 0;
  if ((metadata.name ?? name) !== name) {
    errors.push(invalidField("metadata.name", metadata.name, `must be ${name}`));
  }
  if (replicas < 0) {
    const why = "must be greater than or equal to 0";
    errors.push(invalidField("spec.replicas", replicas, why));
  }
  if (errors.length > 0) throw invalid({ group: "autoscaling", kind: "Scale" }, name, errors);
}
