import type { Hono } from "hono";
import {
  forbidden,
  serviceUnavailable,
  StatusError,
  timeout,
  tooManyRequests,
  unauthorized,
} from "../apimachinery/index.ts";
import { type Clock, type Fetch, type Logger, sleep } from "../lib/index.ts";
import {
  type MemberId,
  notLeading,
  type Revision,
  type Store,
  type Term,
} from "../registry/index.ts";
import { answerError } from "./answer.ts";
import type { Authenticator } from "./authenticator.ts";
import {
  forwardedHeaders,
  forwardedUser,
  NOT_LEADER_HEADER,
  REVISION_HEADER,
} from "./front-proxy-headers.ts";
import { needsLeader } from "./leader-requests.ts";
import { JSON_MEDIA } from "./media-type.ts";
import { MAX_BODY_BYTES, readBody } from "./request-body.ts";
import { withOrigin } from "./request-origin.ts";
import type { User } from "./user.ts";

/** Who is at the other end of a connection between processes, as its certificate says. */
export interface PeerIdentity {
  /** `kubun:member:ID` of a server. */
  readonly commonName: string;
  readonly organizations: readonly string[];
}

export interface ForwardingOptions {
  readonly store: Pick<Store, "leadership" | "onLeadership" | "reached" | "membership" | "mode">;
  /** The API of this server. */
  readonly app: Pick<Hono, "fetch">;
  /** The way to another server's {@link Forwarding.peerFront}; undefined when none is known. */
  readonly peer: (member: MemberId) => Fetch | undefined;
  readonly authenticator: Authenticator;
  /** Whether the client showed a certificate, which is as good as a token. */
  readonly hasCertificate?: (request: Request) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Requests that are forwarded at a time; {@link MAX_FORWARDED} unless given. */
  readonly maxForwarded?: number;
}

export interface Forwarding {
  /** Answers clients: reads and watches here, what the leader must do at the leader. */
  readonly front: Fetch;
  /** Answers what other servers forward; never forwards again. */
  readonly peerFront: (request: Request, peer: PeerIdentity) => Promise<Response>;
  /** This server's API for those who act for the leader of one term; 503 once it is over. */
  termFetch(term: Term): Fetch;
}

/** How long a request waits for a leader to appear. */
export const LEADER_WAIT_MS = 10_000;
/** How long it waits once another one waited in vain, so that clients hear of it in time. */
export const HOPELESS_WAIT_MS = 200;
/** As many as a server serves itself. */
export const MAX_FORWARDED = 600;
/** What the bodies of all that wait may take; each is kept until its answer. */
export const MAX_FORWARDED_BYTES = 64 * 1024 * 1024;
/** How long the leader's answer may take: longer than it gives itself. */
export const FORWARD_DEADLINE_MS = 65_000;
/** How long one that leads no more may take to answer what it was sent. */
export const ABANDON_AFTER_MS = 1_000;
/** How long an answer waits for this server to know what it says. */
export const REACH_WITHIN_MS = 5_000;

export const SERVERS_GROUP = "kubun:servers";
const MEMBER_NAME_PREFIX = "kubun:member:";
/** When to look again at a leader that did not take a request. */
const LOOK_AGAIN_MS = 50;
const RETRY_AFTER_SECONDS = 1;

export function createForwarding(options: ForwardingOptions): Forwarding {
  const forwarder = new Forwarder(options);
  const { store, app } = options;
  return {
    front: (request) => forwarder.front(request),
    peerFront: (request, peer) => forwarder.peerFront(request, peer),
    termFetch: (term) => async (request) => {
      const { leadership } = store;
      if (!leadership.self || leadership.term !== term) return refuse(notLeading());
      return app.fetch(request, withOrigin({ term }));
    },
  };
}

/** A request that can be sent several times. */
interface Buffered {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
  /** Asking twice does no harm. */
  readonly repeatable: boolean;
}

/** What became of one attempt. "not-begun" is definite: nothing was done. */
type Outcome = Response | "not-begun" | "unknown";

class Forwarder {
  readonly #options: ForwardingOptions;
  #forwarded = 0;
  /** What their bodies may take in memory. */
  #bytes = 0;

  /** Whether a request waited in vain and no leader was seen since. */
  #hopeless = false;

  constructor(options: ForwardingOptions) {
    this.#options = options;
    options.store.onLeadership(({ leader }) => {
      if (leader !== undefined) this.#hopeless = false;
    });
  }

  async front(request: Request): Promise<Response> {
    const { store, app, authenticator, hasCertificate, clock } = this.#options;
    const { maxForwarded = MAX_FORWARDED } = this.#options;
    if (store.leadership.self || !needsLeader(request)) return app.fetch(request);
    // Strangers are refused here, before they take room from those who wait.
    const known = request.headers.has("authorization") || hasCertificate?.(request) === true;
    if (!known) return app.fetch(request);
    const bytes = bodyBytes(request);
    if (this.#forwarded >= maxForwarded || this.#bytes + bytes > MAX_FORWARDED_BYTES) {
      const why = "too many requests wait for the leader, please try again later";
      return refuse(tooManyRequests(why, RETRY_AFTER_SECONDS));
    }
    this.#forwarded++;
    this.#bytes += bytes;
    try {
      const user = await authenticator.authenticate(request);
      if (user === undefined) throw unauthorized();
      const body = await within(clock, FORWARD_DEADLINE_MS, readBody(request));
      if (body === undefined) throw timeout("request did not complete within the allotted timeout");
      return await this.#forward(buffered(request, body), user);
    } catch (error) {
      if (error instanceof StatusError) return refuse(error);
      throw error;
    } finally {
      this.#forwarded--;
      this.#bytes -= bytes;
    }
  }

  async peerFront(request: Request, peer: PeerIdentity): Promise<Response> {
    const { store, app } = this.#options;
    if (!this.#isServer(peer)) {
      const why = `${peer.commonName} is no server of this cluster`;
      const answer = await refuse(forbidden({ group: "", resource: "" }, "", why));
      // A server that was removed and does not know it yet must not tell this to its clients.
      answer.headers.set(NOT_LEADER_HEADER, "true");
      return answer;
    }
    if (!store.leadership.self) {
      const answer = await refuse(notLeading());
      answer.headers.set(NOT_LEADER_HEADER, "true");
      return answer;
    }
    const user = userOf(request.headers);
    if (user === undefined) return refuse(unauthorized());
    return app.fetch(request, withOrigin({ user }));
  }

  #isServer({ commonName, organizations }: PeerIdentity): boolean {
    if (!organizations.includes(SERVERS_GROUP)) return false;
    // The certificate of a server that was removed outlives its membership; a witness knows no
    // users, and was given none of the cluster's keys.
    const members = this.#options.store.membership.members();
    return members.some(
      ({ id, role }) => role !== "witness" && commonName === `${MEMBER_NAME_PREFIX}${id}`,
    );
  }

  async #forward(request: Buffered, user: User): Promise<Response> {
    const { store, app, clock } = this.#options;
    const patienceMs = this.#hopeless ? HOPELESS_WAIT_MS : LEADER_WAIT_MS;
    const deadlineMs = clock.monotonic() + patienceMs;
    while (!request.signal.aborted) {
      const { self, leader } = store.leadership;
      if (self) return app.fetch(requestOf(request, request.headers), withOrigin({ user }));
      // This server may be elected already and still be busy with what earlier leaders wrote.
      const other = leader === store.membership.self ? undefined : leader;
      const peer = other === undefined ? undefined : this.#options.peer(other);
      if (leader !== undefined && peer !== undefined) {
        const outcome = await this.#send(request, user, leader, peer);
        if (outcome instanceof Response) {
          this.#hopeless = false;
          return this.#settled(outcome);
        }
        if (outcome === "unknown" && !request.repeatable) {
          throw timeout("the leader was lost; whether it did what was asked is unknown");
        }
      }
      const leftMs = deadlineMs - clock.monotonic();
      if (leftMs <= 0) break;
      await this.#change(leader === undefined ? leftMs : Math.min(leftMs, LOOK_AGAIN_MS));
    }
    this.#hopeless = true;
    throw leaderless(store.mode === "read-write" ? "" : ", and this one's disk takes no writes");
  }

  async #send(request: Buffered, user: User, leader: MemberId, peer: Fetch): Promise<Outcome> {
    const { store, clock, logger } = this.#options;
    const given = new AbortController();
    const signal = AbortSignal.any([given.signal, request.signal]);
    const headers = forwardedHeaders(request.headers, user);
    const stops: (() => void)[] = [];
    const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<Outcome>();
    const giveUpAfter = (delayMs: number): void => {
      stops.push(clock.after(delayMs, () => giveUp("unknown")));
    };
    giveUpAfter(FORWARD_DEADLINE_MS);
    const stopListening = store.onLeadership((now) => {
      if (now.leader !== leader) giveUpAfter(ABANDON_AFTER_MS);
    });
    const answer = peer(requestOf({ ...request, signal }, headers)).then(
      (response) => (response.headers.has(NOT_LEADER_HEADER) ? "not-begun" : response),
      (error: unknown): Outcome => {
        logger.debug("forward", { leader, error: String(error) });
        return wasDelivered(error) ? "unknown" : "not-begun";
      },
    );
    const outcome = await Promise.race([answer, gaveUp]);
    stopListening();
    for (const stop of stops) stop();
    if (!(outcome instanceof Response)) given.abort();
    return outcome;
  }

  /** Lets a client read what it wrote at this server, whatever way it reads. */
  async #settled(response: Response): Promise<Response> {
    const { store, clock, logger } = this.#options;
    const revision = Number(response.headers.get(REVISION_HEADER) ?? "0");
    if (!Number.isSafeInteger(revision) || revision <= 0) return response;
    try {
      await within(clock, REACH_WITHIN_MS, store.reached(revision as Revision));
    } catch (error) {
      // The write is done all the same: the leader's answer must not be lost.
      logger.debug("forward", { revision, error: String(error) });
    }
    return response;
  }

  /** Waits for another leader, or for the time to pass. */
  async #change(withinMs: number): Promise<void> {
    const { store, clock } = this.#options;
    const changed = new AbortController();
    const stop = store.onLeadership(() => changed.abort());
    await sleep(clock, withinMs, changed.signal);
    stop();
  }
}

/** How large a body may turn out to be. */
function bodyBytes(request: Request): number {
  const announced = request.headers.get("content-length");
  // Looking at the body makes it a stream, which costs: only where nothing else tells.
  if (announced === null) return request.body === null ? 0 : MAX_BODY_BYTES;
  return Math.min(Math.max(Number(announced) || 0, 0), MAX_BODY_BYTES);
}

function buffered(request: Request, body: Uint8Array): Buffered {
  const { url, method, headers, signal } = request;
  return { url, method, headers, body, signal, repeatable: method === "GET" || method === "HEAD" };
}

function requestOf({ url, method, body, signal }: Buffered, headers: Headers): Request {
  const content = body.length === 0 ? {} : { body: body as Uint8Array<ArrayBuffer> };
  return new Request(url, { method, headers, signal, ...content });
}

/** Undefined when the time is over; the promise's own outcome no longer matters then. */
async function within<T>(
  clock: Clock,
  delayMs: number,
  promise: Promise<T>,
): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const cancel = clock.after(delayMs, () => resolve(undefined));
  try {
    return await Promise.race([promise, over]);
  } finally {
    cancel();
  }
}

/** Connections say of their errors whether the other end may have seen the request. */
function wasDelivered(error: unknown): boolean {
  return !(error instanceof Error && "delivered" in error && error.delivered === false);
}

function userOf(headers: Headers): User | undefined {
  try {
    return forwardedUser(headers);
  } catch {
    // Encoded by no server of ours.
    return undefined;
  }
}

function leaderless(besides: string): StatusError {
  const why = `no server leads the cluster now${besides}, please try again later`;
  const error = serviceUnavailable(why);
  error.status.details = { ...error.status.details, retryAfterSeconds: RETRY_AFTER_SECONDS };
  return error;
}

function refuse(error: StatusError): Promise<Response> {
  return answerError(error, JSON_MEDIA);
}
