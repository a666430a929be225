import type { Socket } from "bun";
import type { MemberId } from "../../store/index.ts";
import { SERVERS_GROUP, type PeerExpectation, type PeerIdentity } from "./node-link.ts";

const MEMBER_PREFIX = "kubun:member:";
const NODE_PREFIX = "system:node:";

/** What a verified certificate says of its holder, at this time; undefined when it says nothing. */
export function identityOf(socket: Socket<unknown>, nowMs: number): PeerIdentity | undefined {
  // A resumed TLS session repeats the verdict of the first one: the dates are looked at again.
  const certificate = socket.getPeerCertificate();
  const subject: Readonly<Record<string, unknown>> | undefined = certificate?.subject;
  if (subject === undefined || typeof subject["CN"] !== "string") return undefined;
  if (!(Date.parse(certificate.valid_to) > nowMs)) return undefined;
  const organization = subject["O"];
  const organizations = Array.isArray(organization) ? organization : [organization];
  return {
    commonName: subject["CN"],
    organizations: organizations.filter((each): each is string => typeof each === "string"),
  };
}

/** Why this peer is not the one that was meant; undefined when it is. */
export function mismatch(peer: PeerIdentity, expect: PeerExpectation): string | undefined {
  const name = peer.commonName;
  if (expect.commonName !== undefined && expect.commonName !== name) {
    return `the peer is ${name}, not ${expect.commonName}`;
  }
  const { nodeName, organizations } = expect;
  const isServer = peer.organizations.includes(SERVERS_GROUP);
  if (nodeName !== undefined && !isServer && name !== NODE_PREFIX + nodeName) {
    return `the peer is ${name}, not node ${nodeName}`;
  }
  if (organizations.some((each) => peer.organizations.includes(each))) return undefined;
  return `the peer ${name} is not of ${organizations.join(" or ")}`;
}

export function memberName(member: MemberId): string {
  return `${MEMBER_PREFIX}${member}`;
}

/** The member that a certificate was issued to. */
export function memberOf(peer: PeerIdentity): MemberId | undefined {
  if (!peer.organizations.includes(SERVERS_GROUP)) return undefined;
  if (!peer.commonName.startsWith(MEMBER_PREFIX)) return undefined;
  const digits = peer.commonName.slice(MEMBER_PREFIX.length);
  const id = Number(digits);
  return /^[1-9]\d*$/.test(digits) && Number.isSafeInteger(id) ? (id as MemberId) : undefined;
}
