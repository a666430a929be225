import { Hono } from "hono";
import type { ResourceDefinition } from "../api/index.ts";
import { internalError, StatusError, timeout, unauthorized } from "../apimachinery/index.ts";
import { type Clock, type Logger, type Random, randomUuid, sleep } from "../lib/index.ts";
import type { Registry } from "../registry/index.ts";
import { OutsideAdmissions } from "./admission/outside-admission.ts";
import { tellWarnings } from "./admission/tell-warnings.ts";
import type { WebhookFetch } from "./admission/webhooks/webhook-client.ts";
import { webhookFetch } from "./admission/webhooks/webhook-fetch.ts";
import { answerError, answerObject, wantsPretty } from "./answer.ts";
import type { ApiContext, ApiRequest, NodeConnector } from "./api-request.ts";
import {
  type AuditedRequest,
  auditLine,
  type AuditNote,
  type AuditSink,
  isStream,
} from "./audit/audit-event.ts";
import type { Authenticator } from "./authenticator.ts";
import type { Authorizer } from "./authorizer.ts";
import { DiscoveryHandler } from "./discovery/discovery-handler.ts";
import { servedGroupVersions } from "./discovery/plain-discovery.ts";
import { answerCheck, answerHealth, type Checks } from "./health.ts";
import { actingUser } from "./impersonation.ts";
import { REVISION_HEADER } from "./front-proxy-headers.ts";
import { isValueRead } from "./keyvalue/keyvalue-target.ts";
import { JSON_MEDIA, type Media, Negotiator } from "./media-type.ts";
import { NodeStats } from "./metrics-api/node-stats.ts";
import { originOf, type RequestOrigin } from "./request-origin.ts";
import {
  attributesOf,
  parseTarget,
  pathnameOf,
  queryOf,
  type RequestTarget,
  type ResourceTarget,
} from "./request-target.ts";
import {
  deprecationOf,
  dispatch,
  forbiddenError,
  isPodStream,
  methodNotAllowed,
  notServed,
  verbOf,
} from "./resource-dispatch.ts";
import { createAccessControl } from "./rbac/access-control.ts";
import { ANONYMOUS, type User } from "./user.ts";
import type { ProxyTransport } from "./subresources/proxy.ts";
import type { ConnectionUpgrader } from "./subresources/streams/connection-upgrade.ts";
import { answerIssuer } from "./tokens/issuer-discovery.ts";
import type { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import { type Reading, ServerMetrics } from "./server-metrics.ts";
import { WatchLines } from "./watch-handler.ts";

/** What /version answers; kubectl compares major and minor with its own. */
export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  /** "v1.36.0+kubun-0.1.0" */
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly platform: string;
}

export interface ApiServerOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly authenticator: Authenticator;
  /** Issues the tokens of ServiceAccounts; without it none can be asked for. */
  readonly serviceAccountTokens?: ServiceAccountTokens;
  /** Administrators, nodes and the roles in the registry, unless given. */
  readonly authorizer?: Authorizer;
  readonly nodeConnector: NodeConnector;
  /** Takes connections over for exec, attach and port-forward, not offered without it. */
  readonly upgrader?: ConnectionUpgrader;
  /** Takes requests to pods and Services; not offered without it. */
  readonly proxyTransport?: ProxyTransport;
  readonly version: VersionInfo;
  /** How webhooks are called; over the network unless given. */
  readonly webhookFetch?: WebhookFetch;
  /** Further conditions of /readyz by name; each says whether it holds. */
  readonly readiness?: Checks;
  /** Gets a line for each request; none is made without it. */
  readonly audit?: AuditSink;
  /** Where a request came from; undefined inside the process. */
  readonly addressOf?: (request: Request) => string | undefined;
  /** What /metrics tells of other rooms, beside the requests. */
  readonly readings?: readonly Reading[];
  /** Requests that are served at a time, watches and logs not counted. */
  readonly maxRequestsInFlight?: number;
}

/** As many as Kubernetes allows by default: 400 reading and 200 writing. */
export const MAX_REQUESTS_IN_FLIGHT = 600;
/** How long a request may take that is neither a watch nor a log. */
export const REQUEST_DEADLINE_MS = 60_000;

/** The API as a Hono app: `app.fetch` serves a socket, tests and components alike. */
export function createApiServer(options: ApiServerOptions): Hono {
  const server = new ApiServer(options);
  const app = new Hono();
  const live: Checks = { ping: () => true };
  const ready: Checks = { ...live, ...options.readiness };
  for (const [name, checks] of Object.entries({ livez: live, readyz: ready, healthz: live })) {
    app.get(`/${name}`, ({ req }) => answerHealth(name, checks, queryOf(req.url)));
    app.get(`/${name}/:check`, ({ req }) => {
      return answerCheck(req.param("check"), checks) ?? pageNotFound();
    });
  }
  // One route for everything else: paths are read by one parser, for authorization and handlers.
  app.all("*", ({ req, env }) => server.serve(req.raw, originOf(env)));
  return app;
}

function answerVersion(version: VersionInfo): Promise<Response> {
  const { major, minor, gitVersion, gitCommit, platform } = version;
  const value = {
    major,
    minor,
    gitVersion,
    gitCommit,
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: `bun${Bun.version}`,
    compiler: "bun",
    platform,
  };
  return answerObject(value, JSON_MEDIA, { pretty: true });
}

const READING: ReadonlySet<string> = new Set(["get", "list", "watch"]);

/** A request whose user may make it. */
type Authorized = Pick<
  ApiRequest,
  "context" | "request" | "target" | "query" | "user" | "media" | "note"
>;

class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #negotiator = new Negotiator();
  readonly #discovery: DiscoveryHandler;
  readonly #lines = new WatchLines();
  readonly #outside: OutsideAdmissions;
  readonly #metrics: ServerMetrics;
  readonly #context: ApiContext;
  #inFlight = 0;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const version = options.version.gitVersion;
    this.#metrics = new ServerMetrics([
      {
        name: "apiserver_current_inflight_requests",
        help: "Requests under way, without watches and logs.",
        read: () => this.#inFlight,
      },
      ...(options.readings ?? []),
    ]);
    this.#outside = new OutsideAdmissions({
      fetch: options.webhookFetch ?? webhookFetch,
      random: options.random,
    });
    this.#discovery = new DiscoveryHandler({
      version,
      negotiator: this.#negotiator,
      served: () => options.registry.definitions.all,
      pause: () => sleep(options.clock, 0),
    });
    const { registry, clock, random, logger, nodeConnector, authenticator, authorizer } = options;
    const { upgrader, proxyTransport, serviceAccountTokens } = options;
    const roles = createAccessControl(registry);
    const access = authorizer === undefined ? roles : { ...roles, decide: authorizer.decide };
    this.#context = {
      registry,
      clock,
      random,
      logger,
      nodeConnector,
      nodeStats: new NodeStats(nodeConnector, clock),
      access,
      authenticator,
      ...(upgrader === undefined ? {} : { upgrader }),
      ...(proxyTransport === undefined ? {} : { proxyTransport }),
      ...(serviceAccountTokens === undefined ? {} : { serviceAccountTokens }),
    };
  }

  /** Never rejects: whatever goes wrong becomes an answer. */
  async serve(request: Request, origin: RequestOrigin = {}): Promise<Response> {
    const { clock, registry, logger } = this.#options;
    const startMs = clock.monotonic();
    const note: AuditNote = {};
    const response = await this.#answer(request, origin, note);
    const id = auditId(request, this.#options.random);
    response.headers.set("audit-id", id);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.headers.set(REVISION_HEADER, String(registry.revision));
    }
    const durationMs = clock.monotonic() - startMs;
    const path = pathnameOf(request.url);
    const { method } = request;
    logger.debug("request", { method, path, status: response.status, durationMs });
    this.#measure(note, request, response.status, durationMs / 1_000);
    this.#audit({ id, request, note, code: response.status }, durationMs);
    return response;
  }

  #measure(note: AuditNote, { method }: Request, code: number, seconds: number): void {
    const { target } = note;
    // Methods that are served nowhere have no verb, and may be anything.
    const verb = note.verb ?? (method === "GET" ? "get" : "other");
    const served = { verb, code, seconds, stream: isStream(note) };
    if (target?.type !== "resource") return this.#metrics.served(served);
    const { group, version, resource } = target;
    const definition = this.#options.registry.definitions.find(group, version, resource);
    if (definition === undefined) return this.#metrics.served(served);
    const known = definition.subresources.some(({ name }) => name === target.subresource);
    const subresource = known ? target.subresource : "";
    this.#metrics.served({ ...served, of: { group, resource, subresource } });
  }

  #audit(
    audited: Pick<AuditedRequest, "id" | "request" | "note" | "code">,
    durationMs: number,
  ): void {
    const { audit, addressOf, clock } = this.#options;
    if (audit === undefined) return;
    const address = addressOf?.(audited.request);
    const answeredMs = clock.now();
    const times = { answeredMs, receivedMs: answeredMs - durationMs };
    audit.write(auditLine({ ...audited, ...times, ...(address !== undefined && { address }) }));
  }

  async #answer(request: Request, origin: RequestOrigin, note: AuditNote): Promise<Response> {
    let media: Media = JSON_MEDIA;
    try {
      // The term in which the request begins, before anything waits.
      const context = this.#contextOf(request, origin);
      const known = this.#senderOf(request, origin);
      const found = known instanceof Promise ? await known : known;
      const sender = found ?? strangerOf(request);
      note.sender = sender;
      const user = actingUser(request.headers, sender, context.access);
      note.user = user;
      const target = parseTarget(pathnameOf(request.url));
      if (target === undefined) return pageNotFound();
      note.target = target;
      const query = queryOf(request.url);
      const verb = this.#authorize({ user, request, target, query }, note);
      if (target.type === "path") return await this.#answerPath(request, target, query);
      if (!isForeign(target) && !isValueRead(target, request.method))
        media = this.#negotiator.negotiate(request);
      return await this.#run({ context, request, target, query, user, media, note }, verb);
    } catch (error) {
      const pretty = wantsPretty(request, queryOf(request.url));
      const refusal = this.#statusOf(error, request);
      note.refusal = refusal.status;
      return answerError(refusal, media, { pretty });
    }
  }

  async #answerPath(
    request: Request,
    target: Extract<RequestTarget, { readonly type: "path" }>,
    query: URLSearchParams,
  ): Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
    if (target.path === "/version") return answerVersion(this.#options.version);
    if (target.path === "/metrics") return this.#metrics.answer();
    const keys = this.#options.serviceAccountTokens?.keys;
    const issuer = keys && (await answerIssuer(request, target.path, keys));
    if (issuer !== undefined) return issuer;
    const discovered = await this.#discovery.answer(request, target.path, query);
    return discovered ?? pathAnswer(target, this.#options.registry.definitions.all);
  }

  #contextOf({ method }: Request, { term }: RequestOrigin): ApiContext {
    if (method === "GET" || method === "HEAD") return this.#context;
    return { ...this.#context, registry: this.#options.registry.fenced(term) };
  }

  #senderOf(request: Request, origin: RequestOrigin): ReturnType<Authenticator["authenticate"]> {
    return origin.user ?? this.#options.authenticator.authenticate(request);
  }

  #authorize(
    given: Pick<Authorized, "user" | "request" | "query"> & { readonly target: RequestTarget },
    note: AuditNote,
  ): string {
    const { user, request, target, query } = given;
    const verb =
      target.type === "path" ? request.method.toLowerCase() : verbOf(request.method, target, query);
    if (verb === undefined) throw methodNotAllowed();
    note.verb = verb;
    const attributes = attributesOf(target, verb, query);
    const { allowed, reason } = this.#context.access.decide(user, attributes);
    note.decision = allowed ? "allow" : "forbid";
    note.reason = reason;
    if (!allowed) throw forbiddenError(user.name, attributes, reason);
    return verb;
  }

  async #run(given: Authorized, verb: string): Promise<Response> {
    const { target, context } = given;
    const { definitions } = context.registry;
    const definition = definitions.find(target.group, target.version, target.resource);
    if (definition === undefined) return unknownResource(target, definitions.all);
    const namespace = definition.namespaced ? target.namespace : "";
    const scoped = target.namespace !== "" && definition.resource !== "namespaces";
    if (definition.namespaced ? namespace === "" && target.name !== "" : scoped) throw notServed();
    const warnings: string[] = [];
    const { registry } = context;
    const { subresource } = target;
    const warn = tellWarnings({ warnings });
    const write = { registry, definition, subresource, user: given.user, warn };
    const plain = registry.resource(definition);
    const resource = READING.has(verb) ? plain : this.#outside.around(plain, write);
    const api: ApiRequest = { ...given, namespace, definition, resource, warnings };
    const deprecation = deprecationOf(api);
    if (deprecation !== undefined) api.warnings.push(deprecation);
    if (verb === "watch" || isPodStream(target) || isForeign(target)) {
      return dispatch(api, verb, this.#lines);
    }
    return this.#bounded(() => dispatch(api, verb, this.#lines));
  }

  /** Runs a request within the bounds of number and time. */
  async #bounded(run: () => Promise<Response> | Response): Promise<Response> {
    const limit = this.#options.maxRequestsInFlight ?? MAX_REQUESTS_IN_FLIGHT;
    if (this.#inFlight >= limit) return tooManyRequests();
    this.#inFlight++;
    let cancel: () => void = () => undefined;
    const deadline = new Promise<Response>((_resolve, reject) => {
      cancel = this.#options.clock.after(REQUEST_DEADLINE_MS, () =>
        reject(timeout("request did not complete within the allotted timeout")),
      );
    });
    try {
      return await Promise.race([run(), deadline]);
    } finally {
      cancel();
      this.#inFlight--;
    }
  }

  #statusOf(error: unknown, request: Request): StatusError {
    if (error instanceof StatusError) return error;
    const path = pathnameOf(request.url);
    const stack = error instanceof Error ? error.stack : String(error);
    this.#options.logger.error("a request failed", { method: request.method, path, error: stack });
    return internalError(error);
  }
}

/** Who brings no credentials at all is anonymous; unknown ones are refused. */
function strangerOf(request: Request): User {
  if (request.headers.has("authorization")) throw unauthorized();
  return ANONYMOUS;
}

/** Clients may bring an id of their own, for finding a request in the log. */
function auditId(request: Request, random: Random): string {
  const given = request.headers.get("audit-id");
  return given !== null && /^[\w-]{1,64}$/.test(given) ? given : randomUuid(random);
}

/** Logs and what others answer are as they are, whatever the client accepts, and take long. */
function isForeign({ group, resource, subresource }: ResourceTarget): boolean {
  if (group !== "") return false;
  return subresource === "proxy" || (resource === "pods" && subresource === "log");
}

function unknownResource(
  { group, version }: ResourceTarget,
  definitions: readonly ResourceDefinition[],
): Response {
  const served = definitions.some(
    (candidate) => candidate.group === group && candidate.version === version,
  );
  if (served) throw notServed();
  return pageNotFound();
}

function pathAnswer(
  { path }: { readonly path: string },
  definitions: readonly ResourceDefinition[],
): Response {
  if (path !== "/") return pageNotFound();
  const groups = servedGroupVersions(definitions).map(({ group, version }) =>
    group === "" ? `/api/${version}` : `/apis/${group}/${version}`,
  );
  const own = [
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
  ];
  const paths = [...own, ...groups, "/version"].sort();
  const headers = { "content-type": "application/json" };
  return new Response(`${JSON.stringify({ paths }, null, 2)}\n`, { headers });
}

/** What Kubernetes answers to paths that are nobody's. */
function pageNotFound(): Response {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  return new Response("404 page not found\n", { status: 404, headers });
}

function tooManyRequests(): Response {
  const headers = { "content-type": "text/plain; charset=utf-8", "retry-after": "1" };
  const text = "Too many requests, please try again later.\n";
  return new Response(text, { status: 429, headers });
}
