import { Hono } from "hono";
import type { Context } from "hono";
import type { z } from "zod";
import { isStatusError } from "../apimachinery/index.ts";
import { ADMINISTRATORS, JoinLimiter, NODES } from "../apiserver/index.ts";
import type { JoinLimiterOptions, User } from "../apiserver/index.ts";
import type { JoinRole } from "../cli/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { MemberId, Store } from "../store/index.ts";
import { JoinAdmission } from "./join-admission.ts";
import type { CertificateIssuer, JoinTokens, NodeCredentials } from "./join-admission.ts";
import { answerRefusal, noLeader, refusal, refusalOfError } from "./join-status.ts";
import {
  AUTHORITY_PATH,
  CLUSTER_PATH,
  ISSUERS_PATH,
  joinAgentRequestSchema,
  JOIN_PROTOCOL,
  joinServerRequestSchema,
  MAX_JOIN_BODY_BYTES,
  memberAddressSchema,
} from "./join-wire.ts";
import type { ClusterSettings } from "./join-wire.ts";
import { issuersIn } from "./peer-access.ts";
import { MemberAdministration } from "./member-administration.ts";
import { createSnapshotStream } from "./snapshot-stream.ts";

/** Who sent a request: an address, and whether another server passed it on for that address. */
export interface RequestOrigin {
  readonly address: string;
  /** Only what came over the peers' mutual TLS from a server may say so. */
  readonly relayed: boolean;
}

export interface ClusterAppOptions {
  readonly store: Pick<Store, "leadership" | "membership" | "barrier" | "snapshot">;
  readonly ca: KeyPair;
  readonly adminToken: string;
  readonly settings: ClusterSettings;
  readonly tokens: JoinTokens;
  readonly credentials: NodeCredentials;
  readonly issuer: CertificateIssuer;
  /** Who a request is from; only administrators (system:masters) see and change members. */
  readonly authenticate: (request: Request) => User | undefined | Promise<User | undefined>;
  /** The peer listener of another server; undefined when it is not known how to reach it. */
  readonly peer: (member: MemberId) => Fetch | undefined;
  /** Where snapshots take shape before they are sent. */
  readonly snapshotDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Pick<JoinLimiterOptions, "perAddress" | "overall">;
}

/** The API between the machines of a cluster: /cacerts and everything below /kubun/v1. */
export interface ClusterApp {
  /** Whether a path belongs to this API. */
  serves(pathname: string): boolean;
  fetch(request: Request, origin: RequestOrigin): Promise<Response>;
  /** What another server passed on over the peers' mutual TLS. */
  fetchFromServer: Fetch;
}

interface Environment {
  Bindings: { readonly origin: RequestOrigin };
}
type Call = Context<Environment>;

const BEARER = "Bearer ";
/** Set by the server that passes a request on: where it came from. */
const ORIGIN_HEADER = "x-kubun-remote-address";
const UNKNOWN_ADDRESS = "0.0.0.0";

/** Puts the API together. It is whole on every server: what only the leader can do is passed on. */
export function createClusterApp(options: ClusterAppOptions): ClusterApp {
  const { store, ca, logger } = options;
  const admission = new JoinAdmission({ ...options, membership: store.membership });
  const administration = new MemberAdministration({ ...options, membership: store.membership });
  const limiter = new JoinLimiter({ clock: options.clock, ...options.limits });
  const app = new Hono<Environment>();
  app.onError((error) => {
    const known = isStatusError(error) ? error : refusalOfError(error);
    if (known !== undefined) return answerRefusal(known);
    logger.error("a request of the cluster's API failed", { error: String(error) });
    return answerRefusal(refusal(500, "InternalError", "the server failed; its log says how"));
  });
  app.notFound((call) =>
    answerRefusal(refusal(404, "NotFound", `there is no ${call.req.method} ${call.req.path}`)),
  );
  app.get(AUTHORITY_PATH, (call) => call.text(ca.certificate));
  app.post(`${CLUSTER_PATH}/join/agent`, async (call) => {
    await admit(call, "agent", options, limiter);
    const text = await readBody(call.req.raw);
    const answer = await admission.admitAgent(parseBody(text, joinAgentRequestSchema));
    return call.json(answer);
  });
  app.post(`${CLUSTER_PATH}/join/server`, async (call) => {
    await admit(call, "server", options, limiter);
    const text = await readBody(call.req.raw);
    const request = parseBody(text, joinServerRequestSchema);
    if (!store.leadership.self) return passOn(call, options, text);
    return call.json(await admission.admitServer(request, call.env.origin.address));
  });
  addAdministration(app, options, administration);
  return {
    serves: (pathname) => pathname === AUTHORITY_PATH || pathname.startsWith(`${CLUSTER_PATH}/`),
    fetch: async (request, origin) => app.fetch(request, { origin: plain(origin) }),
    fetchFromServer: async (request) => {
      const address = request.headers.get(ORIGIN_HEADER) ?? UNKNOWN_ADDRESS;
      return app.fetch(request, { origin: { address, relayed: true } });
    },
  };
}

function addAdministration(
  app: Hono<Environment>,
  options: ClusterAppOptions,
  administration: MemberAdministration,
): void {
  const { store } = options;
  const snapshots = createSnapshotStream(options);
  const membersPath = `${CLUSTER_PATH}/members`;
  app.use(membersPath, (call, next) => requireAdministrator(call, options).then(next));
  app.use(`${membersPath}/*`, (call, next) => requireAdministrator(call, options).then(next));
  app.use(`${CLUSTER_PATH}/snapshot`, (call, next) =>
    requireAdministrator(call, options).then(next),
  );
  app.get(membersPath, async (call): Promise<Response> => {
    // Only the leader knows who answers; without one the list is still worth something.
    if (!store.leadership.self && canPassOn(call, options)) return passOn(call, options);
    return call.json(administration.list());
  });
  app.delete(`${membersPath}/:member`, async (call) => {
    if (!store.leadership.self) return passOn(call, options);
    return call.json({ member: await administration.remove(call.req.param("member")) });
  });
  app.post(`${membersPath}/:member/promote`, async (call) => {
    if (!store.leadership.self) return passOn(call, options);
    return call.json({ member: await administration.promote(call.req.param("member")) });
  });
  app.post(`${membersPath}/:member/address`, async (call) => {
    const text = await readBody(call.req.raw);
    const address = parseBody(text, memberAddressSchema);
    if (!store.leadership.self) return passOn(call, options, text);
    return call.json({ member: await administration.move(call.req.param("member"), address) });
  });
  app.get(ISSUERS_PATH, async (call) => {
    await requireGroup(call, options, [NODES, ADMINISTRATORS]);
    return call.json({ servers: issuersIn(store.membership.members()) });
  });
  app.get(`${CLUSTER_PATH}/snapshot`, () => snapshots.send());
}

/** Lets a join request in: not too often, and with a token for this role. */
async function admit(
  call: Call,
  role: JoinRole,
  options: ClusterAppOptions,
  limiter: JoinLimiter,
): Promise<void> {
  const { address, relayed } = call.env.origin;
  // The server that passed it on has counted it.
  const waitSeconds = relayed ? 0 : Math.ceil(limiter.take(address) / 1000);
  if (waitSeconds > 0) {
    throw refusal(429, "TooManyRequests", `too many attempts to join: wait ${waitSeconds} s`, {
      retryAfterSeconds: waitSeconds,
    });
  }
  const header = call.req.header("authorization") ?? "";
  const bearer = header.startsWith(BEARER) ? header.slice(BEARER.length).trim() : "";
  const verdict = await options.tokens.verify(bearer, role);
  switch (verdict.type) {
    case "valid":
      options.logger.info("a token to join was used", { token: verdict.id, role, address });
      return;
    case "unknown":
      options.logger.warn("an unknown token to join was refused", { role, address });
      throw refusal(401, "Unauthorized", "the token is not known here: it may have been revoked");
    case "expired":
      throw refusal(401, "Unauthorized", "the token has expired");
    case "other-role":
      throw refusal(403, "Forbidden", `the token does not let a machine join as ${role}`);
  }
}

async function requireAdministrator(call: Call, options: ClusterAppOptions): Promise<void> {
  await requireGroup(call, options, [ADMINISTRATORS]);
}

async function requireGroup(
  call: Call,
  options: ClusterAppOptions,
  groups: readonly string[],
): Promise<void> {
  const user = await options.authenticate(call.req.raw);
  if (user === undefined) throw refusal(401, "Unauthorized", "Unauthorized");
  if (user.groups.some((group) => groups.includes(group))) return;
  const kind = groups.includes(NODES) ? "a node or an administrator" : "an administrator";
  throw refusal(403, "Forbidden", `${user.name} is not ${kind} (${groups.join(", ")})`);
}

function canPassOn(call: Call, { store, peer }: ClusterAppOptions): boolean {
  const { leader } = store.leadership;
  return leader !== undefined && !call.env.origin.relayed && peer(leader) !== undefined;
}

/** Asks the leader and answers with what it says. Its own certificate proves who it is. */
async function passOn(call: Call, options: ClusterAppOptions, body?: string): Promise<Response> {
  const { leader } = options.store.leadership;
  // One hop is enough: two servers that take each other for the leader must not play ball.
  if (leader === undefined || call.env.origin.relayed) throw noLeader();
  const fetchLeader = options.peer(leader);
  if (fetchLeader === undefined) throw noLeader();
  const { method, url, headers } = call.req.raw;
  const passed = new Headers({ [ORIGIN_HEADER]: call.env.origin.address });
  for (const name of ["authorization", "content-type"]) {
    const value = headers.get(name);
    if (value !== null) passed.set(name, value);
  }
  const init = { method, headers: passed, ...(body === undefined ? {} : { body }) };
  try {
    return await fetchLeader(new Request(url, init));
  } catch (error) {
    options.logger.warn("the leader did not answer a request that was passed on", {
      error: String(error),
    });
    // Joining and listing may be asked for again; of the rest nobody knows whether it was done.
    if (method === "GET" || body !== undefined) throw noLeader();
    throw refusal(504, "Timeout", "the leader did not answer: whether it was done is unknown");
  }
}

async function readBody(request: Request): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.byteLength;
    if (bytes > MAX_JOIN_BODY_BYTES) {
      const message = `the request is larger than ${MAX_JOIN_BODY_BYTES} bytes`;
      throw refusal(413, "RequestEntityTooLarge", message);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parseBody<T extends z.ZodType>(text: string, schema: T): z.infer<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal(400, "BadRequest", "the request is not JSON");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".") ?? "";
  if (field === "protocol") {
    throw refusal(
      400,
      "BadRequest",
      `this server speaks version ${JOIN_PROTOCOL} of the join protocol: ` +
        "install the same Kubun on both",
    );
  }
  throw refusal(400, "BadRequest", `${field}: ${issue?.message ?? "is not allowed"}`);
}

/** An IPv4 address that came through an IPv6 socket, as IPv4. */
function plain(origin: RequestOrigin): RequestOrigin {
  return { ...origin, address: origin.address.replace(/^::ffff:(?=[\d.]+$)/i, "") };
}
