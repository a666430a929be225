import { decode, encode, AUTHORITATIVE_ANSWER, RECURSION_AVAILABLE } from "dns-packet";
import { RECURSION_DESIRED, TRUNCATED_RESPONSE } from "dns-packet";
import type { Answer, DecodedPacket, Packet, Question } from "dns-packet";
import type { Clock } from "../lib/index.ts";
import type { Forwarder } from "./forwarder.ts";
import { ZONE_TTL_SECONDS, type ClusterZone, type ZoneRecord } from "./zone.ts";

/** What a client without EDNS takes over UDP (RFC 1035), and what fits through most networks. */
const PLAIN_UDP_BYTES = 512;
export const MAX_UDP_BYTES = 1_232;
const MAX_TCP_BYTES = 65_535;

const RCODE = { noError: 0, formatError: 1, serverFailure: 2, unknown: 3, notImplemented: 4 };

export interface ResponderOptions {
  readonly zone: ClusterZone;
  readonly forwarder: Forwarder;
  readonly clock: Clock;
}

export type Transport = "udp" | "tcp";

/** Answers questions on the wire: of the cluster by its zone, others by other resolvers. */
export class Responder {
  readonly #options: ResponderOptions;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Undefined for what is no question at all, which gets no answer. Never rejects. */
  async respond(query: Buffer, transport: Transport): Promise<Uint8Array | undefined> {
    let packet: DecodedPacket;
    try {
      packet = decode(query);
    } catch {
      return malformed(query);
    }
    if (packet.type !== "query") return undefined;
    const [question] = packet.questions ?? [];
    if (question === undefined || packet.questions?.length !== 1) {
      return this.#write(packet, { rcode: RCODE.formatError }, transport);
    }
    return this.#answer(query, packet, question, transport);
  }

  async #answer(
    query: Buffer,
    packet: DecodedPacket,
    { name, type }: Question,
    transport: Transport,
  ): Promise<Uint8Array> {
    const { zone, forwarder } = this.#options;
    const found = zone.ask(name, type);
    switch (found.type) {
      case "elsewhere": {
        const answer = await forwarder.forward(query, packet);
        if (answer === undefined) {
          return this.#write(packet, { rcode: RCODE.serverFailure }, transport);
        }
        return fits(answer, packet, transport)
          ? answer
          : this.#write(packet, { rcode: RCODE.noError, truncated: true }, transport);
      }
      case "unknown":
        return this.#write(packet, { rcode: RCODE.unknown, absent: true }, transport);
      case "records": {
        const absent = found.records.length === 0;
        const additionals = found.extra.map(wire);
        const soa = type === "SOA" && name.toLowerCase() === zone.domain ? [this.#soa()] : [];
        const answers = [...found.records.map(wire), ...soa];
        const rcode = RCODE.noError;
        const sections = { rcode, answers, additionals, absent: absent && soa.length === 0 };
        return this.#write(packet, sections, transport);
      }
      case "outside": {
        const more = await this.#follow(found.target, type);
        const answers = [...found.records.map(wire), ...more];
        return this.#write(packet, { rcode: RCODE.noError, answers }, transport);
      }
    }
  }

  /** What other resolvers say of the name that an ExternalName leads to. */
  async #follow(name: string, type: Question["type"]): Promise<readonly Answer[]> {
    const question: Packet = {
      type: "query",
      flags: RECURSION_DESIRED,
      questions: [{ name, type }],
    };
    const query = encode(question);
    const answer = await this.#options.forwarder.forward(query, decode(query));
    if (answer === undefined) return [];
    try {
      return decode(Buffer.from(answer)).answers ?? [];
    } catch {
      // The alias alone is an answer too: who asks may follow it himself.
      return [];
    }
  }

  #write(
    packet: DecodedPacket,
    sections: {
      readonly rcode: number;
      readonly answers?: readonly Answer[];
      readonly additionals?: readonly Answer[];
      /** Tells by the zone's SOA record how long the absence may be remembered. */
      readonly absent?: boolean;
      readonly truncated?: boolean;
    },
    transport: Transport,
  ): Uint8Array {
    const { rcode, answers = [], additionals = [], absent = false, truncated = false } = sections;
    const desired = packet.flag_rd ? RECURSION_DESIRED : 0;
    const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | desired | rcode;
    const asked = packet.additionals?.some(({ type }) => type === "OPT") === true;
    const response: Packet = {
      type: "response",
      id: packet.id ?? 0,
      flags: truncated ? flags | TRUNCATED_RESPONSE : flags,
      questions: packet.questions ?? [],
      answers: [...answers],
      authorities: absent ? [this.#soa()] : [],
      additionals: [...additionals, ...(asked ? [OPTIONS] : [])],
    };
    const bytes = encode(response);
    if (fits(bytes, packet, transport)) return bytes;
    // Half an answer helps nobody: without any, the client asks again over TCP.
    const extra = asked ? [OPTIONS] : [];
    return encode({
      ...response,
      flags: flags | TRUNCATED_RESPONSE,
      answers: [],
      authorities: [],
      additionals: extra,
    });
  }

  #soa(): Answer {
    const { zone, clock } = this.#options;
    return {
      type: "SOA",
      name: zone.domain,
      ttl: ZONE_TTL_SECONDS,
      data: {
        mname: `ns.dns.${zone.domain}`,
        rname: `hostmaster.${zone.domain}`,
        serial: Math.floor(clock.now() / 1_000) % 2 ** 32,
        refresh: 7_200,
        retry: 1_800,
        expire: 86_400,
        minimum: ZONE_TTL_SECONDS,
      },
    };
  }
}

const OPTIONS: Answer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: MAX_UDP_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

function wire(record: ZoneRecord): Answer {
  return { ...record, ttl: ZONE_TTL_SECONDS, class: "IN" };
}

function fits(bytes: Uint8Array, packet: DecodedPacket, transport: Transport): boolean {
  if (transport === "tcp") return bytes.length <= MAX_TCP_BYTES;
  const options = packet.additionals?.find((each) => each.type === "OPT");
  const offered = options?.type === "OPT" ? options.udpPayloadSize : PLAIN_UDP_BYTES;
  return bytes.length <= Math.min(Math.max(offered, PLAIN_UDP_BYTES), MAX_UDP_BYTES);
}

const HEADER_BYTES = 12;
const RESPONSE_BIT = 0x80;

/** A question whose header can be read is told that the rest cannot. */
function malformed(query: Buffer): Uint8Array | undefined {
  if (query.length < HEADER_BYTES || ((query[2] ?? 0) & RESPONSE_BIT) !== 0) return undefined;
  const answer = Buffer.alloc(HEADER_BYTES);
  query.copy(answer, 0, 0, 2);
  answer[2] = RESPONSE_BIT;
  answer[3] = RCODE.formatError;
  return answer;
}
