import { decode } from "dns-packet";
import type { DecodedPacket } from "dns-packet";
import type { Clock, Random } from "../lib/index.ts";

/** Where other names are asked: an IPv4 or IPv6 address and its port. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** One question and its answer on the wire, over UDP or TCP; rejects when the signal aborts. */
export type Exchange = (
  upstream: Upstream,
  query: Uint8Array,
  signal: AbortSignal,
) => Promise<Uint8Array>;

export interface ForwarderOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Asked for each question: the machine's resolvers may change. */
  readonly upstreams: () => readonly Upstream[];
  readonly overUdp: Exchange;
  readonly overTcp: Exchange;
}

/** Different questions that are under way; further ones get SERVFAIL. */
export const MAX_FORWARDED = 512;
/** How long one resolver has for its answer, and how many are asked. */
export const UPSTREAM_TIMEOUT_MS = 2_000;
const MAX_UPSTREAMS = 3;
/** Answers that are remembered; the oldest is forgotten. */
export const MAX_CACHED = 2_000;
/** Their time to live is not counted down, so that it is kept short. */
const MAX_CACHE_SECONDS = 10;
const ID_BYTES = 2;
const HEADER_BYTES = 12;

interface Cached {
  readonly answer: Uint8Array;
  readonly untilMs: number;
}

/**
 * Asks other resolvers what is not of the cluster, and remembers what they say, absences too.
 * Equal questions that are under way are asked once: a resolver that asks us back waits for itself
 * and gets nothing, instead of starting a storm.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #underWay = new Map<string, Promise<Uint8Array | undefined>>();
  readonly #cache = new Map<string, Cached>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** The answer with the question's own id; undefined when nobody gave one. */
  async forward(query: Uint8Array, packet: DecodedPacket): Promise<Uint8Array | undefined> {
    const key = keyOf(packet);
    if (key === undefined) return undefined;
    const cached = this.#cache.get(key);
    if (cached !== undefined && cached.untilMs > this.#options.clock.monotonic()) {
      return withIdOf(cached.answer, query);
    }
    const asked = this.#underWay.get(key) ?? this.#begin(key, query);
    const answer = await asked;
    return answer === undefined ? undefined : withIdOf(answer, query);
  }

  #begin(key: string, query: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#underWay.size >= MAX_FORWARDED) return Promise.resolve(undefined);
    const asked = this.#ask(query).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asked);
    void asked.then((answer) => {
      if (answer !== undefined) this.#remember(key, answer);
    });
    return asked;
  }

  async #ask(query: Uint8Array): Promise<Uint8Array | undefined> {
    const { upstreams, overUdp, overTcp, random } = this.#options;
    for (const upstream of upstreams().slice(0, MAX_UPSTREAMS)) {
      const sent = Uint8Array.from(query);
      // An id of our own for each: who cannot see the question must not be able to answer it.
      sent.set(random.bytes(ID_BYTES));
      const answer = await this.#tryOne(overUdp, upstream, sent);
      if (answer === undefined) continue;
      if (!isTruncated(answer)) return answer;
      return (await this.#tryOne(overTcp, upstream, sent)) ?? answer;
    }
    return undefined;
  }

  /** Undefined for one that says nothing of use: another resolver may. */
  async #tryOne(
    exchange: Exchange,
    upstream: Upstream,
    sent: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const over = new AbortController();
    const cancel = this.#options.clock.after(UPSTREAM_TIMEOUT_MS, () => over.abort());
    try {
      const answer = await exchange(upstream, sent, over.signal);
      return answers(answer, sent) ? answer : undefined;
    } catch {
      return undefined;
    } finally {
      cancel();
    }
  }

  #remember(key: string, answer: Uint8Array): void {
    const seconds = Math.min(secondsToLive(answer), MAX_CACHE_SECONDS);
    if (seconds <= 0) return;
    const untilMs = this.#options.clock.monotonic() + seconds * 1_000;
    this.#cache.delete(key);
    this.#cache.set(key, { answer, untilMs });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= MAX_CACHED) return;
      this.#cache.delete(oldest);
    }
  }
}

function keyOf({ questions = [], flag_cd: unchecked, additionals = [] }: DecodedPacket) {
  const [question] = questions;
  if (question === undefined || questions.length !== 1) return undefined;
  // Who asks for signatures, or for what was not checked, gets another answer.
  const signed = additionals.some((each) => each.type === "OPT" && each.flag_do);
  return `${question.name.toLowerCase()} ${question.type} ${question.class} ${signed} ${unchecked}`;
}

function withIdOf(answer: Uint8Array, query: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(answer);
  copy.set(query.subarray(0, ID_BYTES));
  return copy;
}

const TRUNCATED = 0x02;
const RESPONSE = 0x80;
const RCODE_MASK = 0x0f;
const SERVER_FAILURE = 2;
const REFUSED = 5;

function isTruncated(answer: Uint8Array): boolean {
  return ((answer[2] ?? 0) & TRUNCATED) !== 0;
}

/** Of this question, and not a resolver's "I cannot". */
function answers(answer: Uint8Array, sent: Uint8Array): boolean {
  if (answer.length < HEADER_BYTES || answer[0] !== sent[0] || answer[1] !== sent[1]) return false;
  const rcode = (answer[3] ?? 0) & RCODE_MASK;
  const isAnswer = ((answer[2] ?? 0) & RESPONSE) !== 0;
  return isAnswer && rcode !== SERVER_FAILURE && rcode !== REFUSED;
}

/** The shortest of the answer's records; for an absence what its zone says (RFC 2308). */
function secondsToLive(bytes: Uint8Array): number {
  try {
    const { answers: found = [], authorities = [] } = decode(Buffer.from(bytes));
    const times = found.flatMap((each) => ("ttl" in each ? [each.ttl ?? 0] : []));
    if (times.length > 0) return Math.min(...times);
    const zone = authorities.find((each) => each.type === "SOA");
    if (zone?.type !== "SOA") return 0;
    return Math.min(zone.ttl ?? 0, zone.data.minimum ?? 0);
  } catch {
    // What cannot be read is passed on and not kept.
    return 0;
  }
}
