import { badRequest, type KubeObject, successStatus } from "../../apimachinery/index.ts";
import {
  assertBatch,
  KEYVALUE_RESOURCE,
  type KeyValueStores,
  noSuchKey,
  type Revision,
  type StoreAddress,
  type StoredValue,
} from "../../registry/index.ts";
import { answerObject, type AnswerOptions, wantsPretty } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { integerOf, limitOf } from "../query-options.ts";
import { withoutUndefined } from "../read-handler.ts";
import { readBody } from "../request-body.ts";
import { methodNotAllowed, notServed } from "../resource-dispatch.ts";
import { decodeBatch, decodeKeys } from "./keyvalue-bodies.ts";
import { partOf } from "./keyvalue-target.ts";
import { watchStore } from "./keyvalue-watch.ts";
import { answerStores } from "./store-objects.ts";
import { valueItem } from "./value-item.ts";

const DELTA = /^-?\d{1,19}$/;
const API_VERSION = `${KEYVALUE_RESOURCE.group}/v1`;

/** Everything about key-value stores: as objects, and what is in them. */
export function answerKeyValues(api: ApiRequest, verb: string): Promise<Response> | Response {
  const { target, request, context, namespace } = api;
  if (target.subresource === "") return answerStores(api, verb);
  const part = partOf(target);
  if (part === undefined || namespace === "") throw notServed();
  const at: StoreAddress = { namespace, store: target.name };
  const { keyValues } = context.registry;
  switch (part) {
    case "keys":
      return verb === "watch" ? watchStore(api, at) : answerKeys(api, at, keyValues);
    case "values":
      return answerValue(api, at, keyValues, request.method);
    case "increment":
      return increment(api, at, keyValues);
    case "read":
      return readMany(api, at, keyValues);
    case "batch":
      return writeMany(api, at, keyValues);
  }
}

async function answerKeys(
  api: ApiRequest,
  at: StoreAddress,
  stores: KeyValueStores,
): Promise<Response> {
  const { query } = api;
  const page = await stores.keys(
    at,
    withoutUndefined({
      prefix: query.get("prefix") ?? undefined,
      limit: limitOf(query),
      continue: query.get("continue") ?? undefined,
    }),
  );
  const more = page.continue === undefined ? {} : { continue: page.continue };
  return answer(api, {
    kind: "KeyList",
    apiVersion: API_VERSION,
    metadata: { resourceVersion: String(page.revision), ...more },
    items: page.items.map(({ key, value, revision }) => ({
      key,
      bytes: value.length,
      resourceVersion: String(revision),
    })),
  });
}

async function answerValue(
  api: ApiRequest,
  at: StoreAddress,
  stores: KeyValueStores,
  method: string,
): Promise<Response> {
  const key = keyOf(api);
  switch (method) {
    case "GET":
    case "HEAD": {
      const found = await stores.get(at, key);
      if (found === undefined) throw noSuchKey(at, key);
      return answerBytes(found);
    }
    case "PUT": {
      const expected = expectedOf(api);
      const value = await readBody(api.request);
      return written(api, (await stores.set(at, key, value, expected)).revision);
    }
    case "DELETE":
      return written(api, await stores.delete(at, key, expectedOf(api)));
    default:
      throw methodNotAllowed();
  }
}

async function increment(
  api: ApiRequest,
  at: StoreAddress,
  stores: KeyValueStores,
): Promise<Response> {
  const text = api.query.get("delta") ?? "1";
  if (!DELTA.test(text)) throw badRequest(`delta: ${JSON.stringify(text)}: want a whole number`);
  const { value, revision } = await stores.increment(at, keyOf(api), BigInt(text));
  // As text, because JSON's numbers end at 53 bits for many readers.
  return answer(api, { value: value.toString(), resourceVersion: String(revision) });
}

async function readMany(
  api: ApiRequest,
  at: StoreAddress,
  stores: KeyValueStores,
): Promise<Response> {
  const keys = decodeKeys(await readBody(api.request));
  const found = await stores.getMany(at, keys);
  return answer(api, {
    kind: "ValueList",
    apiVersion: API_VERSION,
    metadata: { resourceVersion: String(api.context.registry.revision) },
    items: found.map((item) => (item === undefined ? null : valueItem(item))),
  });
}

/** Writes each by itself: when some are refused, the others are written all the same. */
async function writeMany(
  api: ApiRequest,
  at: StoreAddress,
  stores: KeyValueStores,
): Promise<Response> {
  const { set, delete: deleted } = decodeBatch(await readBody(api.request));
  assertBatch(set.length + deleted.length);
  const outcomes = await Promise.allSettled([
    ...set.map(async ({ key, value }) => (await stores.set(at, key, value)).revision),
    ...deleted.map((key) => deleteIfThere(stores, at, key)),
  ]);
  const refused = outcomes.find(({ status }) => status === "rejected");
  if (refused?.status === "rejected") throw refused.reason;
  return written(api, api.context.registry.revision);
}

async function deleteIfThere(
  stores: KeyValueStores,
  at: StoreAddress,
  key: string,
): Promise<Revision | undefined> {
  if ((await stores.get(at, key)) === undefined) return undefined;
  try {
    return await stores.delete(at, key);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === 404) return undefined;
    throw error;
  }
}

function keyOf({ query, request }: ApiRequest): string {
  const key = query.get("key");
  if (key === null) throw badRequest("the query names no key: want ?key=KEY");
  // What is no UTF-8 was read as this character: different keys would be the same one.
  if (key.includes("\uFFFD") && !isUtf8(new URL(request.url).search)) {
    throw badRequest("a key is well-formed Unicode text without NUL characters");
  }
  return key;
}

function isUtf8(escaped: string): boolean {
  try {
    decodeURIComponent(escaped);
    return true;
  } catch {
    return false; // URIError: the escapes are no UTF-8.
  }
}

/** `resourceVersion`: only if this is what there is; 0 for no such key. */
function expectedOf({ query }: ApiRequest): { readonly expected?: Revision } {
  const expected = integerOf(query, "resourceVersion");
  if (expected === undefined) return {};
  if (expected < 0) throw badRequest(`resourceVersion: ${expected}: want 0 or more`);
  return { expected: expected as Revision };
}

function answerBytes({ value, revision }: StoredValue): Response {
  const headers = {
    "content-type": "application/octet-stream",
    "cache-control": "no-cache, private",
    etag: `"${revision}"`,
  };
  return new Response(value as Uint8Array<ArrayBuffer>, { headers });
}

function written(api: ApiRequest, revision: Revision): Promise<Response> {
  return answer(api, { ...successStatus(), metadata: { resourceVersion: String(revision) } });
}

function answer(
  api: ApiRequest,
  value: KubeObject | Readonly<Record<string, unknown>>,
  options: AnswerOptions = {},
): Promise<Response> {
  const pretty = wantsPretty(api.request, api.query);
  return answerObject(value, api.media, { ...options, pretty });
}
