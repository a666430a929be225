import type { KeyValueStore } from "../../api/index.ts";
import {
  conflict,
  notFound,
  rfc3339,
  type StatusDetails,
  successStatus,
} from "../../apimachinery/index.ts";
import { KEYVALUE_RESOURCE, type StoreSummary } from "../../registry/index.ts";
import { answerObject, wantsPretty } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { answerComputed, answerComputedList, selects } from "../computed-objects.ts";
import { readDeleteRequest } from "../delete-handler.ts";
import { methodNotAllowed } from "../resource-dispatch.ts";

/** Stores as Kubernetes objects: `kubectl get` prints them, `kubectl delete` empties them. */
export async function answerStores(api: ApiRequest, verb: string): Promise<Response> {
  switch (verb) {
    case "get":
      return answerComputed(api, await storeOf(api));
    case "list": {
      const { revision, items } = await listOf(api);
      return answerComputedList(api, items, { resourceVersion: String(revision) });
    }
    case "delete":
      return deleteStore(api);
    case "deletecollection":
      return deleteStores(api);
    default:
      throw methodNotAllowed();
  }
}

async function storeOf({ context, namespace, target }: ApiRequest): Promise<KeyValueStore> {
  const { keyValues } = context.registry;
  const found = await keyValues.store({ namespace, store: target.name });
  if (found === undefined) throw notFound(KEYVALUE_RESOURCE, target.name);
  return objectOf(found);
}

async function listOf(api: ApiRequest) {
  const { revision, items } = await api.context.registry.keyValues.stores(api.namespace);
  return { revision, items: items.map(objectOf).filter(selects(api)) };
}

async function deleteStore(api: ApiRequest): Promise<Response> {
  const { dryRun, preconditions } = await readDeleteRequest(api);
  const { metadata } = await storeOf(api);
  const { name = "", uid = "" } = metadata;
  const wanted = preconditions?.uid;
  if (wanted !== undefined && wanted !== uid) {
    const why = `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${uid}`;
    throw conflict(KEYVALUE_RESOURCE, name, why);
  }
  if (dryRun !== true) await empty(api, name);
  const { group, resource: kind } = KEYVALUE_RESOURCE;
  const details: StatusDetails = { name, group, kind, uid };
  const pretty = wantsPretty(api.request, api.query);
  return answerObject(successStatus(details), api.media, { pretty });
}

async function deleteStores(api: ApiRequest): Promise<Response> {
  if (api.namespace === "") throw methodNotAllowed();
  const { dryRun } = await readDeleteRequest(api);
  const { revision, items } = await listOf(api);
  for (const { metadata } of items) if (dryRun !== true) await empty(api, metadata.name ?? "");
  return answerComputedList(api, items, { resourceVersion: String(revision) });
}

function empty({ context, namespace }: ApiRequest, store: string): Promise<number> {
  return context.registry.keyValues.empty({ namespace, store });
}

function objectOf({ namespace, store, keys, bytes, createdMs, revision }: StoreSummary) {
  const object: KeyValueStore = {
    kind: "KeyValueStore",
    apiVersion: `${KEYVALUE_RESOURCE.group}/v1`,
    metadata: {
      name: store,
      namespace,
      uid: uidOf(`${namespace}/${store}/${createdMs}`),
      resourceVersion: String(revision),
      creationTimestamp: rfc3339(createdMs),
    },
    status: { keys, bytes },
  };
  return object;
}

/** The same for the same store on every server; a version 8 UUID (RFC 9562 section 5.8). */
function uidOf(text: string): string {
  const hex = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  const [first, second, last] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(17, 29)];
  return `${first}-${second}-8${hex.slice(12, 15)}-8${hex.slice(29, 32)}-${last}`;
}
