import type { DeleteOptions, ListMeta } from "../api/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Fetch } from "../lib/index.ts";
import { ApiError, apiErrorFrom } from "./api-error.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { queryOf, resourcePath } from "./resource-path.ts";
import type { ApiResource } from "./resources.ts";
import { decodeWatch } from "./watch-decoder.ts";
import type { WatchEvent } from "./watch-decoder.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface SelectorOptions extends CallOptions {
  /** `app=web,tier!=db` */
  readonly labelSelector?: string;
  /** `spec.nodeName=node-1` */
  readonly fieldSelector?: string;
}

export interface ListOptions extends SelectorOptions {
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
}

export interface WatchOptions extends SelectorOptions {
  readonly resourceVersion?: string;
  readonly allowWatchBookmarks?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string;
  readonly dryRun?: "All";
}

export type PatchType = "json" | "merge" | "strategic";

export interface PatchOptions extends WriteOptions {
  readonly type: PatchType;
  /** `status`, `scale`, … */
  readonly subresource?: string;
}

export interface DeleteCallOptions extends CallOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface ObjectList<T extends KubeObject> {
  readonly metadata: ListMeta;
  readonly items: T[];
}

/** The verbs of one collection. Every call rejects with {@link ApiError} on a failed answer. */
export interface ResourceClient<T extends KubeObject> {
  get(name: string, options?: CallOptions): Promise<T>;
  list(options?: ListOptions): Promise<ObjectList<T>>;
  create(object: T, options?: WriteOptions): Promise<T>;
  update(object: T, options?: WriteOptions): Promise<T>;
  updateStatus(object: T, options?: WriteOptions): Promise<T>;
  patch(name: string, patch: unknown, options: PatchOptions): Promise<T>;
  /** Gives the object as it was, or as it is now when finalizers or a grace period hold it. */
  delete(name: string, options?: DeleteCallOptions): Promise<KubeObject>;
  deleteCollection(options?: DeleteCallOptions & SelectorOptions): Promise<void>;
  /** POST to a subresource: `binding`, `eviction`, `token`. */
  createSubresource<R = KubeObject>(
    name: string,
    subresource: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<R>;
  /** PUT to a subresource: `scale`, `finalize`. */
  updateSubresource<R = KubeObject>(
    name: string,
    subresource: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<R>;
  /** Ends when the server ends the watch or the signal aborts. */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
}

export interface Client {
  /** Without a namespace a namespaced resource is listed and watched everywhere. */
  resource<T extends KubeObject>(
    resource: ApiResource<T>,
    namespace?: string,
    options?: ResourceOptions,
  ): ResourceClient<T>;
  /** A request as it is, with the credentials; resolves with failed answers too. */
  raw(path: string, init?: RequestInit): Promise<Response>;
}

export interface ResourceOptions {
  /** `metadata`: only apiVersion, kind and metadata come back (PartialObjectMetadata). */
  readonly view?: "full" | "metadata";
}

export interface ClientOptions {
  /** A network connection, or the `fetch` of a server in this process. */
  readonly fetch: Fetch;
  /** Default `http://localhost`, which an in-process server never looks at. */
  readonly baseUrl?: string;
  /** Bearer token. */
  readonly token?: string;
  readonly userAgent: string;
  /** With a clock, answers 429 are repeated after their Retry-After and calls time out. */
  readonly clock?: Clock;
}

/** Repetitions after 429, which says that nothing was done and when to come again. */
export const MAX_THROTTLE_RETRIES = 5;
const MAX_RETRY_AFTER_SECONDS = 10;
/** A unary call that takes longer is given up; watches have their own limit. */
export const CALL_TIMEOUT_MS = 60_000;

const PATCH_CONTENT_TYPES: Readonly<Record<PatchType, string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

/** A typed client over anything fetch-shaped. */
export function createClient(options: ClientOptions): Client {
  const transport = new Transport(options);
  return {
    resource: <T extends KubeObject>(
      resource: ApiResource<T>,
      namespace?: string,
      resourceOptions?: ResourceOptions,
    ) => new RestResourceClient<T>(transport, resource, namespace, resourceOptions?.view ?? "full"),
    raw: (path, init) => transport.send(path, init ?? {}),
  };
}

class Transport {
  readonly #options: ClientOptions;
  readonly #baseUrl: string;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#baseUrl = (options.baseUrl ?? "http://localhost").replace(/\/+$/, "");
  }

  send(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("user-agent", this.#options.userAgent);
    if (this.#options.token !== undefined) {
      headers.set("authorization", `Bearer ${this.#options.token}`);
    }
    return this.#options.fetch(new Request(this.#baseUrl + path, { ...init, headers }));
  }

  /** Sends and reads a JSON answer; repeats 429 when there is a clock to wait by. */
  async call(path: string, init: RequestInit): Promise<unknown> {
    const { clock } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#withinTimeout(path, init);
      if (answer.type === "success") return answer.body;
      const { error } = answer;
      const repeat = error.code === 429 && attempt < MAX_THROTTLE_RETRIES;
      if (!repeat || clock === undefined || init.signal?.aborted) throw error;
      const seconds = Math.min(error.retryAfterSeconds ?? 1, MAX_RETRY_AFTER_SECONDS);
      await sleep(clock, seconds * 1000, init.signal ?? undefined);
    }
  }

  /** The whole exchange, the body included: a connection can die at any of its bytes. */
  async #exchange(path: string, init: RequestInit): Promise<Answer> {
    const response = await this.send(path, init);
    if (response.ok) return { type: "success", body: await response.json() };
    return { type: "failure", error: await apiErrorFrom(response) };
  }

  #withinTimeout(path: string, init: RequestInit): Promise<Answer> {
    const { clock } = this.#options;
    if (clock === undefined) return this.#exchange(path, init);
    const timeout = new AbortController();
    const signal =
      init.signal == null ? timeout.signal : AbortSignal.any([init.signal, timeout.signal]);
    return new Promise((resolve, reject) => {
      const cancel = clock.after(CALL_TIMEOUT_MS, () => {
        const error = new Error(`${init.method ?? "GET"} ${path} took over ${CALL_TIMEOUT_MS} ms`);
        timeout.abort(error);
        reject(error);
      });
      this.#exchange(path, { ...init, signal })
        .then(resolve, reject)
        .finally(cancel);
    });
  }
}

type Answer =
  | { readonly type: "success"; readonly body: unknown }
  | { readonly type: "failure"; readonly error: ApiError };

class RestResourceClient<T extends KubeObject> implements ResourceClient<T> {
  readonly #transport: Transport;
  readonly #resource: ApiResource<T>;
  readonly #namespace: string | undefined;
  readonly #view: "full" | "metadata";

  constructor(
    transport: Transport,
    resource: ApiResource<T>,
    namespace: string | undefined,
    view: "full" | "metadata",
  ) {
    this.#transport = transport;
    this.#resource = resource;
    this.#namespace = namespace;
    this.#view = view;
  }

  get(name: string, options: CallOptions = {}): Promise<T> {
    return this.#call<T>("GET", this.#path({ name }), options);
  }

  async list(options: ListOptions = {}): Promise<ObjectList<T>> {
    const path = this.#path({}) + queryOf(options);
    const list = await this.#call<ObjectList<T>>("GET", path, options, { accept: "list" });
    const { group, version, kind } = this.#resource;
    const apiVersion = group === "" ? version : `${group}/${version}`;
    // Items of a list leave out what the list says once; with it, each stands for itself.
    for (const item of list.items ?? []) {
      item.apiVersion ??= apiVersion;
      item.kind ??= kind;
    }
    return { ...list, items: list.items ?? [] };
  }

  create(object: T, options: WriteOptions = {}): Promise<T> {
    const path = this.#path({ namespace: object.metadata.namespace }) + queryOf(options);
    return this.#call<T>("POST", path, options, { body: this.#typed(object) });
  }

  update(object: T, options: WriteOptions = {}): Promise<T> {
    const path = this.#objectPath(object) + queryOf(options);
    return this.#call<T>("PUT", path, options, { body: this.#typed(object) });
  }

  updateStatus(object: T, options: WriteOptions = {}): Promise<T> {
    const path = `${this.#objectPath(object)}/status${queryOf(options)}`;
    return this.#call<T>("PUT", path, options, { body: this.#typed(object) });
  }

  patch(name: string, patch: unknown, options: PatchOptions): Promise<T> {
    const { subresource } = options;
    const path = this.#path(subresource === undefined ? { name } : { name, subresource });
    const contentType = PATCH_CONTENT_TYPES[options.type];
    return this.#call<T>("PATCH", path + queryOf(options), options, { body: patch, contentType });
  }

  delete(name: string, options: DeleteCallOptions = {}): Promise<KubeObject> {
    const body = deleteBody(options);
    return this.#call<KubeObject>("DELETE", this.#path({ name }), options, { body });
  }

  async deleteCollection(options: DeleteCallOptions & SelectorOptions = {}): Promise<void> {
    const { labelSelector, fieldSelector } = options;
    const query = queryOf({
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    });
    await this.#call("DELETE", this.#path({}) + query, options, { body: deleteBody(options) });
  }

  createSubresource<R>(
    name: string,
    subresource: string,
    body: unknown,
    options: CallOptions = {},
  ): Promise<R> {
    return this.#call<R>("POST", this.#path({ name, subresource }), options, { body });
  }

  updateSubresource<R>(
    name: string,
    subresource: string,
    body: unknown,
    options: CallOptions = {},
  ): Promise<R> {
    return this.#call<R>("PUT", this.#path({ name, subresource }), options, { body });
  }

  async *watch(options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const path = this.#path({}) + queryOf({ ...options, watch: true });
    const response = await this.#transport.send(path, {
      headers: { accept: this.#accept("object") },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (!response.ok) throw await apiErrorFrom(response);
    if (response.body === null) throw new Error(`the watch of ${path} has no body`);
    yield* decodeWatch<T>(response.body, options.signal);
  }

  #path(place: { name?: string; subresource?: string; namespace?: string | undefined }): string {
    return resourcePath(this.#resource, {
      ...place,
      namespace: this.#namespace ?? place.namespace,
    });
  }

  #objectPath(object: T): string {
    const { name = "", namespace } = object.metadata;
    return this.#path({ name, namespace });
  }

  #typed(object: T): T {
    const { group, version, kind } = this.#resource;
    return { apiVersion: group === "" ? version : `${group}/${version}`, kind, ...object };
  }

  #accept(form: "object" | "list"): string {
    if (this.#view === "full") return "application/json";
    const as = form === "list" ? "PartialObjectMetadataList" : "PartialObjectMetadata";
    return `application/json;as=${as};v=v1;g=meta.k8s.io,application/json`;
  }

  async #call<R>(
    method: string,
    path: string,
    options: CallOptions,
    extra: { body?: unknown; contentType?: string; accept?: "list" } = {},
  ): Promise<R> {
    const headers: Record<string, string> = { accept: this.#accept(extra.accept ?? "object") };
    const init: RequestInit = { method, headers };
    if (extra.body !== undefined) {
      headers["content-type"] = extra.contentType ?? "application/json";
      init.body = JSON.stringify(extra.body);
    }
    if (options.signal !== undefined) init.signal = options.signal;
    return (await this.#transport.call(path, init)) as R;
  }
}

function deleteBody(options: DeleteCallOptions): DeleteOptions {
  const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(preconditions === undefined ? {} : { preconditions }),
  };
}

/** Whether a failed call may be tried again later as it is: the server or the way to it failed. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof ApiError) || error.code === 429 || error.code >= 500;
}
