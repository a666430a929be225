import type { JoinRole } from "../cli/index.ts";
import type { Logger } from "../lib/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { Member, MemberStatus, Membership } from "../store/index.ts";
import { refusal } from "./join-status.ts";
import type {
  ClusterSettings,
  JoinAgentAnswer,
  JoinAgentRequest,
  JoinServerAnswer,
  JoinServerRequest,
  Location,
} from "./join-wire.ts";

/** Why a join token was not taken; `unknown` is a revoked one too. */
export type TokenVerdict =
  | { readonly type: "valid"; readonly id: string }
  | { readonly type: "unknown" | "expired" | "other-role" };

export interface JoinTokens {
  /** Checks `<id>.<secret>`; the comparison takes the same time for every secret. */
  verify(bearer: string, role: JoinRole): Promise<TokenVerdict>;
}

/** The keys with which nodes come to the API as system:node:NAME. */
export interface NodeCredentials {
  /**
   * Makes `secret` the key of this name. `taken` when the name has another one whose Node still
   * exists: another machine's, as far as anybody can tell.
   */
  claim(nodeName: string, secret: string): Promise<"claimed" | "taken">;
  /** Whether, by the latest state, the name has a key and its Node exists. */
  holds(nodeName: string): Promise<boolean>;
  /** Ends the key of this name, if it has one. */
  forget(nodeName: string): Promise<void>;
}

/** Certificates for what a request asks; they reject when it is not a request in order. */
export interface CertificateIssuer {
  issueForMember(request: string, memberId: number): Promise<string>;
  issueForNode(request: string, nodeName: string): Promise<string>;
}

export interface AdmissionOptions {
  readonly membership: Membership;
  readonly credentials: NodeCredentials;
  readonly issuer: CertificateIssuer;
  readonly ca: KeyPair;
  readonly adminToken: string;
  readonly settings: ClusterSettings;
  readonly logger: Logger;
}

/** Lets machines in whose token was found good. Every step may be repeated after a crash. */
export class JoinAdmission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async admitAgent(request: JoinAgentRequest): Promise<JoinAgentAnswer> {
    const { membership, issuer, settings, logger } = this.#options;
    const server = membership.members().find((member) => member.name === request.name);
    if (server !== undefined) {
      throw refusal(
        409,
        "Conflict",
        `the node name ${JSON.stringify(request.name)} belongs to a server of the cluster ` +
          `(member ${server.id}): give another --node-name`,
      );
    }
    const certificate = await issuer.issueForNode(request.certificateRequest, request.name);
    await this.#claimName(request);
    logger.info("an agent joined", { node: request.name });
    return {
      clusterId: membership.clusterId,
      certificate,
      servers: apiAddresses(membership.members()),
      settings,
    };
  }

  /** On the leader only. `address` is where the request came from. */
  async admitServer(request: JoinServerRequest, address: string): Promise<JoinServerAnswer> {
    const { membership, issuer, logger } = this.#options;
    this.#refuseOtherSettings(request.settings);
    const self = describeJoiner(request, address);
    const certificate = await issuer.issueForMember(request.certificateRequest, request.memberId);
    const known = membership.members().find((member) => member.id === self.id);
    await this.#makeRoomFor(self);
    if (!request.witness) await this.#claimName(request);
    // Asked again after a crash, it may listen elsewhere; of a known member only that changes.
    if (known === undefined || !sameMember(known, self)) await membership.add(self);
    logger.info("a server joined", { member: self.id, name: self.name, role: self.role });
    return this.#handOver(self, certificate);
  }

  #handOver(self: Member, certificate: string): JoinServerAnswer {
    const { membership, ca, adminToken, settings } = this.#options;
    const listed = membership.members();
    const known = listed.find((member) => member.id === self.id);
    // Where the state is in etcd, a server is listed by itself once it runs.
    const members = known === undefined ? [...listed, self] : [...listed];
    const secrets = { caPrivateKey: ca.privateKey, adminToken };
    return {
      clusterId: membership.clusterId,
      certificate,
      self: known ?? self,
      members,
      servers: apiAddresses(members),
      settings,
      ...(self.role === "witness" ? {} : { secrets }),
    };
  }

  /**
   * A server that has the name or the address of the joiner is in its way. If it never came to
   * vote and does not answer, it is what a broken join left behind, and goes.
   */
  async #makeRoomFor(self: Member): Promise<void> {
    const { membership, logger } = this.#options;
    for (const other of membership.status()) {
      const sameName = other.name === self.name;
      const sameAddress = other.peerAddress === self.peerAddress;
      if (other.id === self.id) {
        if (other.role !== "voter" || sameMember(other, self)) continue;
        throw memberTaken(self, other);
      }
      if (!sameName && !sameAddress) continue;
      if (other.role !== "learner" || other.reachable === true) throw memberTaken(self, other);
      logger.warn("a server that never finished joining is removed", { member: other.id });
      await membership.remove(other.id);
    }
  }

  async #claimName({ name, nodeSecret }: JoinAgentRequest): Promise<void> {
    if ((await this.#options.credentials.claim(name, nodeSecret)) === "claimed") return;
    throw nameTaken(name, "another machine, or this one before its disk was emptied");
  }

  #refuseOtherSettings(given: JoinServerRequest["settings"]): void {
    const { clusterCidr, serviceCidr } = this.#options.settings;
    const pairs: [string, string | undefined, string][] = [
      ["--cluster-cidr", given.clusterCidr, clusterCidr],
      ["--service-cidr", given.serviceCidr, serviceCidr],
      [
        "--service-node-port-range",
        rangeText(given.serviceNodePortRange),
        rangeText(this.#options.settings.serviceNodePortRange) ?? "",
      ],
    ];
    for (const [flag, mine, ours] of pairs) {
      if (mine === undefined || mine === ours) continue;
      throw refusal(
        409,
        "Conflict",
        `${flag} ${mine} differs from the cluster's, which is ${ours}: ` +
          `leave it out, or give ${ours}`,
      );
    }
  }
}

/** The servers that answer API requests, the voters first. */
export function apiAddresses(members: readonly Member[]): string[] {
  const answering = members.filter((member) => member.apiAddress !== "");
  const learners = answering.filter((member) => member.role === "learner");
  const others = answering.filter((member) => member.role !== "learner");
  return [...others, ...learners].map((member) => member.apiAddress);
}

function describeJoiner(request: JoinServerRequest, address: string): Member {
  const at = ({ host, port }: Location): string => `${host ?? address}:${port}`;
  const { memberId: id, name, witness, api } = request;
  if (!witness && api === undefined) {
    throw refusal(400, "BadRequest", "api is missing: only a witness has none");
  }
  return {
    id,
    name,
    role: witness ? "witness" : "learner",
    peerAddress: at(request.peer),
    apiAddress: api === undefined || witness ? "" : `https://${at(api)}`,
  };
}

function sameMember(one: Member, other: Member): boolean {
  return (
    one.name === other.name &&
    one.peerAddress === other.peerAddress &&
    one.apiAddress === other.apiAddress
  );
}

function nameTaken(name: string, by: string): Error {
  return refusal(
    409,
    "Conflict",
    `the node name ${JSON.stringify(name)} belongs to ${by}: give another --node-name, ` +
      `or, if that machine is gone for good, first: kubectl delete node ${name}`,
  );
}

function memberTaken(self: Member, other: MemberStatus): Error {
  const same = other.name === self.name ? `name ${other.name}` : `address ${other.peerAddress}`;
  return refusal(
    409,
    "Conflict",
    `member ${other.id}, a ${other.role}, has the ${same} already: give another --node-name and ` +
      `--peer-port, or, if that server is gone for good, first: kubun member remove ${other.id}`,
  );
}

function rangeText(range: { from: number; to: number } | undefined): string | undefined {
  return range === undefined ? undefined : `${range.from}-${range.to}`;
}
