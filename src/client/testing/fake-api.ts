import type { Clock, Fetch } from "../../lib/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { FAKE_RESOURCES, parseTarget } from "./fake-resources.ts";
import type { FakeTarget } from "./fake-resources.ts";

interface HistoryEvent {
  readonly revision: number;
  readonly collection: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
  /** As it was, so that a selector knows what moved into or out of its view. */
  readonly previous?: KubeObject;
}

interface Watcher {
  readonly target: FakeTarget;
  readonly query: URLSearchParams;
  readonly metadataOnly: boolean;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

export interface FakeApiOptions {
  readonly clock: Clock;
}

/** Answers instead of the fake when it gives a response: faults for tests. */
export type Fault = (request: Request, target: FakeTarget) => Response | undefined;

const encoder = new TextEncoder();

/**
 * An API server for unit tests: revisions, optimistic locking, status, finalizers, graceful
 * deletion of bound pods, binding, lists in pages and watches with their history. No validation,
 * no defaults: tests give whole objects.
 */
export class FakeApi {
  readonly #clock: Clock;
  readonly #objects = new Map<string, KubeObject>();
  readonly #history: HistoryEvent[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #held = new Map<string, HistoryEvent[]>();
  #revision = 1;
  #compacted = 0;
  #names = 0;
  /** Every request served, as `METHOD /path`. */
  readonly requests: string[] = [];
  fault: Fault | undefined;

  constructor(options: FakeApiOptions) {
    this.#clock = options.clock;
  }

  /** Hand this to `createClient`. */
  readonly fetch: Fetch = (request) => this.#serve(request);

  /** Puts an object there as if somebody had made it; gives it as stored. */
  seed<T extends KubeObject>(resource: { resource: string; group: string }, object: T): T {
    const collection = `${resource.group}/${resource.resource}`;
    const stored = this.#commit(collection, structuredClone(object), undefined);
    return structuredClone(stored) as T;
  }

  /** Changes a stored object in place, as its owner would. */
  change<T extends KubeObject>(
    resource: { resource: string; group: string },
    object: KubeObject,
    edit: (object: T) => void,
  ): T {
    const collection = `${resource.group}/${resource.resource}`;
    const { namespace = "", name = "" } = object.metadata;
    const old = this.#objects.get(`${collection}/${namespace}/${name}`);
    if (old === undefined) throw new Error(`no ${collection}/${namespace}/${name}`);
    const next = structuredClone(old) as T;
    edit(next);
    return structuredClone(this.#commit(collection, next, old)) as T;
  }

  /** Takes an object away for good, finalizers or not. */
  remove(resource: { resource: string; group: string }, object: KubeObject): void {
    const collection = `${resource.group}/${resource.resource}`;
    const { namespace = "", name = "" } = object.metadata;
    const old = this.#objects.get(`${collection}/${namespace}/${name}`);
    if (old !== undefined) this.#drop(collection, old);
  }

  /** Everything in a collection, in the order of creation. */
  all<T extends KubeObject>(resource: { resource: string; group: string }): T[] {
    const prefix = `${resource.group}/${resource.resource}/`;
    const found = [...this.#objects].filter(([key]) => key.startsWith(prefix));
    return found.map(([, object]) => structuredClone(object) as T);
  }

  /** Forgets history up to now: watches from before are answered 410. */
  compact(): void {
    this.#compacted = this.#revision;
  }

  /** Ends every open watch, as a server that restarts. */
  dropWatches(): void {
    for (const watcher of this.#watchers) watcher.controller.close();
    this.#watchers.clear();
  }

  /** Sends a line to every open watch. */
  emit(event: unknown): void {
    for (const watcher of this.#watchers) {
      watcher.controller.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
    }
  }

  /** Keeps the events of a collection back, as a slow network would; gives their release. */
  holdWatches(resource: { resource: string; group: string }): () => void {
    const collection = `${resource.group}/${resource.resource}`;
    const held: HistoryEvent[] = [];
    this.#held.set(collection, held);
    return () => {
      this.#held.delete(collection);
      for (const event of held) this.#deliverToAll(event);
    };
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.requests.push(`${request.method} ${url.pathname}`);
    const discovery = FAKE_RESOURCES.discovery(url.pathname);
    if (discovery !== undefined) return Response.json(discovery);
    const target = parseTarget(url.pathname);
    if (target === undefined) return failure(404, "NotFound", `no path ${url.pathname}`);
    const injected = this.fault?.(request, target);
    if (injected !== undefined) return injected;
    switch (request.method) {
      case "GET":
        return this.#read(request, url, target);
      case "POST":
        return this.#post(target, await bodyOf(request));
      case "PUT":
        return this.#put(target, await bodyOf(request));
      case "PATCH":
        return this.#patch(target, await bodyOf(request));
      case "DELETE":
        return this.#delete(target, await bodyOf(request));
      default:
        return failure(405, "MethodNotAllowed", request.method);
    }
  }

  #read(request: Request, url: URL, target: FakeTarget): Response {
    const metadataOnly = (request.headers.get("accept") ?? "").includes("PartialObjectMetadata");
    if (target.name !== undefined) {
      const object = this.#find(target);
      return object === undefined ? missing(target) : Response.json(object);
    }
    if (url.searchParams.get("watch") === "true") {
      return this.#watch(target, url.searchParams, metadataOnly);
    }
    return this.#list(target, url.searchParams, metadataOnly);
  }

  #list(target: FakeTarget, query: URLSearchParams, metadataOnly: boolean): Response {
    const all = [...this.#objects.entries()]
      .filter(([key, object]) => inTarget(key, object, target) && matches(object, query))
      .map(([, object]) => view(object, metadataOnly));
    const start = Number(query.get("continue") ?? 0);
    if (start > 0 && this.#compacted === this.#revision) {
      return failure(410, "Expired", "the continue parameter is too old");
    }
    const limit = Number(query.get("limit") ?? 0) || all.length;
    const end = start + limit;
    // Items of a list carry neither apiVersion nor kind, as in Kubernetes.
    const items = all.slice(start, end).map((item) => {
      const { metadata, ...rest } = item;
      delete rest.apiVersion;
      delete rest.kind;
      return { metadata, ...rest };
    });
    const metadata = {
      resourceVersion: String(this.#revision),
      ...(end < all.length ? { continue: String(end) } : {}),
    };
    return Response.json({ kind: `${target.kind}List`, apiVersion: "v1", metadata, items });
  }

  #watch(target: FakeTarget, query: URLSearchParams, metadataOnly: boolean): Response {
    const after = Number(query.get("resourceVersion") ?? 0);
    if (after < this.#compacted) return failure(410, "Expired", "too old resource version");
    let watcher: Watcher;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        watcher = { target, query, metadataOnly, controller };
        this.#watchers.add(watcher);
        for (const event of this.#history) if (event.revision > after) deliver(watcher, event);
      },
      cancel: () => {
        this.#watchers.delete(watcher);
      },
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  #post(target: FakeTarget, body: KubeObject): Response {
    if (target.subresource === "binding") return this.#bind(target, body);
    if (target.subresource === "eviction") return this.#delete(target, body);
    const { metadata } = body;
    metadata.name ??= `${metadata.generateName ?? ""}${String(++this.#names).padStart(5, "0")}`;
    if (target.namespace !== undefined) metadata.namespace = target.namespace;
    if (this.#isTerminating(target.namespace)) return namespaceTerminating(target.namespace);
    const key = keyFor(target, metadata.name);
    if (this.#objects.has(key)) {
      return failure(409, "AlreadyExists", `${target.resource} "${metadata.name}" already exists`);
    }
    return Response.json(this.#commit(target.collection, body, undefined), { status: 201 });
  }

  #isTerminating(namespace = ""): boolean {
    const found = this.#objects.get(`/namespaces//${namespace}`);
    return found?.metadata.deletionTimestamp !== undefined;
  }

  #bind(target: FakeTarget, body: KubeObject): Response {
    const pod = this.#find(target);
    if (pod === undefined) return missing(target);
    const next = structuredClone(pod);
    const spec = next.spec as Record<string, unknown>;
    if (spec.nodeName) return failure(409, "Conflict", `pod ${target.name} is already assigned`);
    spec.nodeName = (body.target as { name: string }).name;
    const status = (next.status ??= {}) as { conditions?: { type: string }[] };
    const others = (status.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
    status.conditions = [...others, { type: "PodScheduled", status: "True" } as { type: string }];
    this.#commit(target.collection, next, pod);
    return Response.json({ kind: "Status", status: "Success" }, { status: 201 });
  }

  #put(target: FakeTarget, body: KubeObject): Response {
    const old = this.#find(target);
    if (old === undefined) return missing(target);
    const { resourceVersion } = body.metadata;
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
      return failure(409, "Conflict", `${target.resource} "${target.name}" has been modified`);
    }
    if (target.subresource === "finalize") {
      this.#drop(target.collection, old);
      return Response.json(body);
    }
    const next =
      target.subresource === "status"
        ? { ...structuredClone(old), status: body.status }
        : { ...body, ...(old.status === undefined ? {} : { status: old.status }) };
    return Response.json(this.#settle(target, next, old));
  }

  #patch(target: FakeTarget, patch: KubeObject): Response {
    const old = this.#find(target);
    if (old === undefined) return missing(target);
    const uid = (patch.metadata as { uid?: string } | undefined)?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) {
      return failure(409, "Conflict", `uid in precondition: ${uid}, found ${old.metadata.uid}`);
    }
    const { resourceVersion } = patch.metadata ?? {};
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
      return failure(409, "Conflict", `${target.resource} "${target.name}" has been modified`);
    }
    const next = mergePatch(structuredClone(old), patch) as KubeObject;
    return Response.json(this.#settle(target, next, old));
  }

  #deleteCollection(target: FakeTarget, options: KubeObject): Response {
    for (const [key, object] of Array.from(this.#objects)) {
      const { name = "", namespace } = object.metadata;
      const place = namespace === undefined ? { name } : { name, namespace };
      if (inTarget(key, object, target)) this.#delete({ ...target, ...place }, options);
    }
    return Response.json({ kind: "Status", status: "Success" });
  }

  #delete(target: FakeTarget, options: KubeObject): Response {
    if (target.name === undefined) return this.#deleteCollection(target, options);
    const old = this.#find(target);
    if (old === undefined) return missing(target);
    const uid = (options.preconditions as { uid?: string } | undefined)?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) {
      return failure(409, "Conflict", `uid ${uid} is not ${old.metadata.uid}`);
    }
    const next = structuredClone(old);
    const policy = options.propagationPolicy;
    const finalizer =
      policy === "Foreground" ? "foregroundDeletion" : policy === "Orphan" ? "orphan" : undefined;
    const finalizers = new Set(next.metadata.finalizers ?? []);
    if (finalizer !== undefined) finalizers.add(finalizer);
    if (finalizers.size > 0) next.metadata.finalizers = [...finalizers];
    const spec = next.spec as { nodeName?: string } | undefined;
    const grace = options.gracePeriodSeconds ?? (target.resource === "pods" ? 30 : 0);
    const graceful = target.resource === "pods" && spec?.nodeName !== undefined && grace !== 0;
    if (!graceful && finalizers.size === 0 && target.resource !== "namespaces") {
      this.#drop(target.collection, old);
      return Response.json({ kind: "Status", status: "Success" });
    }
    if (old.metadata.deletionTimestamp === undefined) {
      next.metadata.deletionTimestamp = new Date(this.#clock.now()).toISOString();
    }
    return Response.json(this.#commit(target.collection, next, old));
  }

  /** Stores an update, or ends an object whose last finalizer went away. */
  #settle(target: FakeTarget, next: KubeObject, old: KubeObject): KubeObject {
    const held = (old.metadata.finalizers ?? []).length > 0;
    const free = held && (next.metadata.finalizers ?? []).length === 0;
    if (free && old.metadata.deletionTimestamp !== undefined) {
      this.#drop(target.collection, old);
      return next;
    }
    return this.#commit(target.collection, next, old);
  }

  #find(target: FakeTarget): KubeObject | undefined {
    return this.#objects.get(keyFor(target, target.name ?? ""));
  }

  #commit(collection: string, object: KubeObject, old: KubeObject | undefined): KubeObject {
    const changed = JSON.stringify(object.spec) !== JSON.stringify(old?.spec);
    const { metadata } = object;
    metadata.uid = old?.metadata.uid ?? metadata.uid ?? `uid-${this.#revision + 1}`;
    metadata.creationTimestamp =
      old?.metadata.creationTimestamp ??
      metadata.creationTimestamp ??
      new Date(this.#clock.now()).toISOString().replace(/\.\d+/, "");
    metadata.generation = (old?.metadata.generation ?? 0) + (changed || !old ? 1 : 0);
    if (old !== undefined) {
      metadata.resourceVersion = old.metadata.resourceVersion ?? "";
      // A write that changes nothing is no event.
      if (JSON.stringify(object) === JSON.stringify(old)) return old;
    }
    metadata.resourceVersion = String(++this.#revision);
    this.#objects.set(`${collection}/${metadata.namespace ?? ""}/${metadata.name}`, object);
    const type = old === undefined ? "ADDED" : "MODIFIED";
    const previous = old === undefined ? {} : { previous: old };
    this.#publish({ revision: this.#revision, collection, type, object, ...previous });
    return object;
  }

  #drop(collection: string, old: KubeObject): void {
    const { namespace = "", name } = old.metadata;
    this.#objects.delete(`${collection}/${namespace}/${name}`);
    const revision = ++this.#revision;
    const object = structuredClone(old);
    object.metadata.resourceVersion = String(revision);
    this.#publish({ revision, collection, type: "DELETED", object, previous: old });
  }

  #publish(event: HistoryEvent): void {
    this.#history.push(event);
    const held = this.#held.get(event.collection);
    if (held === undefined) this.#deliverToAll(event);
    else held.push(event);
  }

  #deliverToAll(event: HistoryEvent): void {
    for (const watcher of this.#watchers) deliver(watcher, event);
  }
}

function keyFor(target: FakeTarget, name: string): string {
  return `${target.collection}/${target.namespace ?? ""}/${name}`;
}

function inTarget(key: string, object: KubeObject, target: FakeTarget): boolean {
  if (!key.startsWith(`${target.collection}/`)) return false;
  return target.namespace === undefined || object.metadata.namespace === target.namespace;
}

function deliver(watcher: Watcher, event: HistoryEvent): void {
  const { target, query, metadataOnly, controller } = watcher;
  if (event.collection !== target.collection) return;
  const { namespace } = event.object.metadata;
  if (target.namespace !== undefined && namespace !== target.namespace) return;
  const before = event.previous !== undefined && matches(event.previous, query);
  const after = event.type !== "DELETED" && matches(event.object, query);
  if (!before && !after) return;
  const type = !before ? "ADDED" : after ? "MODIFIED" : "DELETED";
  const line = JSON.stringify({ type, object: view(event.object, metadataOnly) });
  controller.enqueue(encoder.encode(`${line}\n`));
}

function view(object: KubeObject, metadataOnly: boolean): KubeObject {
  if (!metadataOnly) return object;
  const { metadata } = object;
  return { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata };
}

/** `a=b` terms over labels, and over dotted paths for fields. */
function matches(object: KubeObject, query: URLSearchParams): boolean {
  const labels = object.metadata.labels ?? {};
  return (
    terms(query.get("labelSelector")).every(([key, value]) => labels[key] === value) &&
    terms(query.get("fieldSelector")).every(([path, value]) => fieldOf(object, path) === value)
  );
}

function terms(selector: string | null): [string, string][] {
  if (selector === null) return [];
  return selector.split(",").map((term) => {
    const [key = "", value = ""] = term.split(/==?/);
    return [key, value];
  });
}

function fieldOf(object: unknown, path: string): string {
  const value = path
    .split(".")
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], object);
  return typeof value === "string" ? value : "";
}

/** RFC 7386, section 2; lists of conditions merge by type, as strategic merge has them. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (Array.isArray(patch) && Array.isArray(target) && isTyped(patch) && isTyped(target)) {
    const types = new Set(patch.map(({ type }) => type));
    return [...target.filter(({ type }) => !types.has(type)), ...patch];
  }
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base =
    typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function isTyped(list: unknown[]): list is { type: string }[] {
  return list.every((item) => typeof item === "object" && item !== null && "type" in item);
}

async function bodyOf(request: Request): Promise<KubeObject> {
  const text = await request.text();
  return (text === "" ? {} : JSON.parse(text)) as KubeObject;
}

function missing(target: FakeTarget): Response {
  return failure(404, "NotFound", `${target.resource} "${target.name}" not found`);
}

function namespaceTerminating(namespace = ""): Response {
  const message = `namespace ${namespace} is being terminated`;
  const details = { causes: [{ reason: "NamespaceTerminating", field: "metadata.namespace" }] };
  const status = { kind: "Status", status: "Failure", code: 403, reason: "Forbidden" };
  return Response.json({ ...status, message, details }, { status: 403 });
}

/** A failed answer as the API gives it. */
export function failure(code: number, reason: string, message: string): Response {
  const status = { apiVersion: "v1", kind: "Status", status: "Failure", code, reason, message };
  return Response.json(status, { status: code });
}
