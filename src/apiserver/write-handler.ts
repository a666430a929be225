import { warningsOf } from "../api/index.ts";
import { badRequest, type KubeObject } from "../apimachinery/index.ts";
import type { StoredObject, UpdateOptions, WriteScope } from "../registry/index.ts";
import { admitCreate, admitUpdate } from "./admission/admit-write.ts";
import { tellWarnings } from "./admission/tell-warnings.ts";
import type { ApiRequest } from "./api-request.ts";
import { ownCreated, ownersOfUpdate } from "./field-ownership.ts";
import { intake } from "./object-intake.ts";
import { type WriteQuery, writeQueryOf } from "./query-options.ts";
import { answerStored } from "./read-handler.ts";
import { decodeBody } from "./request-body.ts";
import { assertEphemeralContainersStay } from "./subresources/ephemeral-containers.ts";

const CREATED = 201;

/** POST to a collection. */
export async function createObject(api: ApiRequest): Promise<Response> {
  const query = writeQueryOf(api.query, "CreateOptions");
  const object = await readObject(api, query);
  assertNamespace(api, object);
  api.warnings.push(...warningsOf(object));
  admitCreate(api, object);
  ownCreated(api, object);
  const stored = await api.resource.create(api.namespace, object, {
    dryRun: query.dryRun,
    warn: tellWarnings(api),
  });
  return answerStored(api, stored, { status: CREATED });
}

/** PUT of an object, or of the part of it that the scope names. */
export async function replaceObject(
  api: ApiRequest,
  scope: WriteScope = "object",
): Promise<Response> {
  const query = writeQueryOf(api.query, "UpdateOptions");
  const object = await readObject(api, query, scope);
  assertNamespace(api, object);
  assertName(api, object);
  const hardlyMeant = warningsOf(object);
  let generation: number | undefined;
  // The registry makes the object its own, and may ask again when another write came first.
  const sent = JSON.stringify(object);
  const copy = (): KubeObject => JSON.parse(sent) as KubeObject;
  let next: KubeObject | undefined = object;
  const take = (): KubeObject => {
    const taken = next ?? copy();
    next = undefined;
    return taken;
  };
  const createMissing = (): KubeObject => {
    const taken = take();
    admitCreate(api, taken);
    ownCreated(api, taken);
    return taken;
  };
  const trackOwners = ownersOfUpdate(api);
  const options: UpdateOptions = {
    dryRun: query.dryRun,
    createMissing,
    trackOwners,
    warn: tellWarnings(api),
  };
  const { stored, created } = await api.resource.update(
    api.namespace,
    api.target.name,
    (current) => {
      ({ generation } = current.metadata);
      const taken = take();
      if (scope === "ephemeralcontainers") assertEphemeralContainersStay(api, taken, current);
      admitUpdate(api, taken, current);
      return taken;
    },
    scope === "object" ? options : { ...options, scope },
  );
  if (scope === "object") warnOfChange(api, hardlyMeant, generation, stored);
  return answerStored(api, stored, created ? { status: CREATED } : {});
}

/**
 * Adds what there is to say about a change of a specification; pods, whose specification stays,
 * are not spoken about again.
 */
export function warnOfChange(
  api: ApiRequest,
  warnings: readonly string[],
  generation: number | undefined,
  { object }: StoredObject,
): void {
  if (warnings.length === 0 || api.definition.kind === "Pod") return;
  if (object.metadata.generation !== generation) api.warnings.push(...warnings);
}

async function readObject(
  api: ApiRequest,
  query: WriteQuery,
  scope: WriteScope = "object",
): Promise<KubeObject> {
  const { definition, request, warnings } = api;
  const ignored = query.fieldValidation === "Ignore";
  const body = await decodeBody(request, {
    duplicates: ignored ? "ignore" : "report",
    expected: definition.kind,
  });
  const { fieldValidation } = query;
  const options = { fieldValidation, warnings };
  const finalize = scope === "finalize";
  return intake(definition, body, finalize ? { ...options, defaults: "left-out" } : options);
}

function assertNamespace({ definition, namespace }: ApiRequest, { metadata }: KubeObject): void {
  const given = metadata.namespace ?? "";
  if (!definition.namespaced) {
    if (given === "") return;
    throw badRequest("namespace may not be set on cluster-scoped objects");
  }
  if (given === "" || given === namespace) return;
  throw badRequest(
    `the namespace of the provided object does not match the namespace sent on the request`,
  );
}

function assertName({ target }: ApiRequest, { metadata }: KubeObject): void {
  const given = metadata.name ?? "";
  if (given === target.name) return;
  throw badRequest(
    given === ""
      ? "name must be provided"
      : `the name of the object (${given}) does not match the name on the URL (${target.name})`,
  );
}
