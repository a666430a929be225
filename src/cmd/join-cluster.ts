import { X509Certificate, createPrivateKey as readPrivateKey } from "node:crypto";
import { CommandError, parseJoinToken, UsageError, WHERE_TOKENS_GO } from "../cli/index.ts";
import type { JoinToken } from "../cli/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { KeyPair } from "../os/index.ts";
import { newMemberId } from "../store/index.ts";
import type { Member } from "../store/index.ts";
import type { DataDirectory } from "./data-directory.ts";
import {
  hasAuthority,
  readAdminToken,
  readCaPrivateKey,
  readJoinRecord,
  writeJoinRecord,
  writeKeys,
} from "./join-record.ts";
import type { AskingRecord, JoinedRecord, JoinRecord } from "./join-record.ts";
import { lifeOf } from "./keep-certificate.ts";
import { fetchAuthority, postJoin } from "./join-request.ts";
import type { JoinRequestOptions } from "./join-request.ts";
import {
  CLUSTER_PATH,
  joinAgentAnswerSchema,
  JOIN_PROTOCOL,
  joinServerAnswerSchema,
} from "./join-wire.ts";
import type { ClusterSettings, JoinServerAnswer, Location } from "./join-wire.ts";

export interface JoinOptions {
  readonly directory: DataDirectory;
  /** What the flags say; both are needed until the cluster has answered once. */
  readonly join?: string | undefined;
  readonly token?: string | undefined;
  /** The node's name, and a server's as a member. */
  readonly name: string;
  /** Where the others reach the peer port; without a host under the address asked from. */
  readonly peer: Location;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface JoinServerOptions extends JoinOptions {
  readonly witness: boolean;
  /** Where the API answers; not of a witness. */
  readonly api?: Location;
  /** What flags say of what all servers must have alike; the cluster refuses what differs. */
  readonly settings: Partial<ClusterSettings>;
}

interface Joined {
  readonly clusterId: string;
  readonly name: string;
  /** This machine's identity among the others. */
  readonly peer: KeyPair;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  /** What it says to the API as system:node:NAME is `kubun-node.NAME.SECRET`. */
  readonly nodeSecret: string;
  /** The servers' APIs at the time of joining, "https://HOST:PORT"; agents learn of others. */
  readonly servers: readonly string[];
  readonly settings: ClusterSettings;
}

export type JoinedAgent = Joined;

export interface JoinedServer extends Joined {
  /** As the others know this server. */
  readonly self: Member;
  /** The group at the time of joining. */
  readonly members: readonly Member[];
  /** Not of a witness. */
  readonly secrets?: { readonly ca: KeyPair; readonly adminToken: string };
}

/**
 * What this server has of the cluster that it joined: read from disk, or asked for at the first
 * start. Undefined when it neither joined nor is to: it is, or becomes, a founder.
 *
 * @throws UsageError when a flag is missing, CommandError when the cluster refuses
 */
export async function joinAsServer(options: JoinServerOptions): Promise<JoinedServer | undefined> {
  const { directory } = options;
  const record = readRecordOf("server", options);
  // A server with the authority's key renews its own certificate.
  if (record?.phase === "joined" && !(record.witness && hasEnded(record, options))) {
    return describeServer(directory, record);
  }
  if (record === undefined && options.join === undefined) return undefined;
  const { server, token } = whereToAsk(record, options);
  const asking = await prepareServer(options, record, server);
  const request = { ...options, server, token };
  const ca = await fetchAuthority(request);
  const { createCertificateRequest } = await import("../os/certificate-requests.ts");
  const answer = await postJoin(request, {
    path: `${CLUSTER_PATH}/join/server`,
    body: {
      protocol: JOIN_PROTOCOL,
      name: asking.name,
      certificateRequest: await createCertificateRequest(asking.privateKey, {
        commonName: `kubun:member:${asking.memberId}`,
      }),
      nodeSecret: asking.nodeSecret,
      memberId: asking.memberId,
      witness: asking.witness,
      peer: asking.peer,
      ...(asking.api === undefined ? {} : { api: asking.api }),
      settings: options.settings,
    },
    ca,
    answer: joinServerAnswerSchema,
  });
  checkServerAnswer(server, ca, asking, answer);
  const { secrets, ...rest } = answer;
  const peer = { privateKey: asking.privateKey, certificate: answer.certificate };
  writeKeys(directory, { ca, peer, ...secrets });
  const joined = { ...asking, phase: "joined" as const, ca, answer: rest };
  await writeJoinRecord(directory, joined);
  return describeServer(directory, joined);
}

/** Like {@link joinAsServer}, for a worker node; without a record `--join` is needed. */
export async function joinAsAgent(options: JoinOptions): Promise<JoinedAgent> {
  const { directory } = options;
  const record = readRecordOf("agent", options);
  if (record?.phase === "joined" && !hasEnded(record, options)) return describeJoined(record);
  const { server, token } = whereToAsk(record, options);
  const asking = await prepareAgent(options, record, server);
  const request: JoinRequestOptions = { ...options, server, token };
  const ca = await fetchAuthority(request);
  const { createCertificateRequest } = await import("../os/certificate-requests.ts");
  const answer = await postJoin(request, {
    path: `${CLUSTER_PATH}/join/agent`,
    body: {
      protocol: JOIN_PROTOCOL,
      name: asking.name,
      certificateRequest: await createCertificateRequest(asking.privateKey, {
        commonName: `system:node:${asking.name}`,
      }),
      nodeSecret: asking.nodeSecret,
      peer: options.peer,
    },
    ca,
    answer: joinAgentAnswerSchema,
  });
  checkCertificate(server, ca, asking, answer.certificate);
  const peer = { privateKey: asking.privateKey, certificate: answer.certificate };
  writeKeys(directory, { ca, peer });
  const joined = { ...asking, phase: "joined" as const, ca, answer };
  await writeJoinRecord(directory, joined);
  return describeJoined(joined);
}

function readRecordOf<R extends JoinRecord["role"]>(
  role: R,
  { directory, join }: JoinOptions,
): Extract<JoinRecord, { role: R }> | undefined {
  const record = readJoinRecord(directory);
  if (record !== undefined && record.role !== role) {
    throw new CommandError(
      `${directory.path} belongs to ${record.role === "agent" ? "an agent" : "a server"}: ` +
        `start it with \`kubun ${record.role}\`, or give another --data-dir`,
    );
  }
  // Keys come with an answer and the record follows them: such a directory is not a founder's.
  if (record === undefined && hasAuthority(directory) && (join !== undefined || role === "agent")) {
    throw new CommandError(
      `${directory.path} holds a cluster of its own, which cannot join another: ` +
        "leave out --join, or give another --data-dir",
    );
  }
  return record as Extract<JoinRecord, { role: R }> | undefined;
}

/**
 * Whether this machine was away for so long that nobody knows it any more: it asks as at its first
 * start then, with the same name, id and key. @throws CommandError without the flags for that
 */
function hasEnded(record: JoinedRecord, { directory, clock, join, token }: JoinOptions): boolean {
  const { untilMs } = lifeOf(record.answer.certificate);
  if (clock.now() < untilMs) return false;
  if (join !== undefined && token !== undefined) return true;
  throw new CommandError(
    `the certificate in ${directory.path} ended on ${new Date(untilMs).toISOString()}, and was ` +
      "not renewed in time: start once with --join https://HOST:PORT and a token, " +
      "which keeps name and data",
  );
}

function whereToAsk(
  record: JoinRecord | undefined,
  { directory, join, token }: JoinOptions,
): { server: string; token: JoinToken } {
  if (join === undefined) {
    throw record === undefined
      ? new UsageError("--join is missing: give the URL of a server, https://HOST:PORT")
      : new CommandError(
          `${directory.path} began to join ${record.server} and never came to an end: run the ` +
            `same command again, with --join ${record.server} and a token`,
        );
  }
  const parsed = token === undefined ? undefined : parseJoinToken(token);
  if (parsed !== undefined) return { server: join, token: parsed };
  throw new UsageError(`joining ${join} needs a token at the first start: give ${WHERE_TOKENS_GO}`);
}

type AskingServer = Extract<AskingRecord, { role: "server" }>;
type AskingAgent = Extract<AskingRecord, { role: "agent" }>;
/** Who asked before, or was let in. */
type Former<R extends JoinRecord["role"]> = Extract<JoinRecord, { role: R }> | undefined;

/** Keeps who asked before, so that a broken attempt leaves no second member behind. */
async function prepareServer(
  options: JoinServerOptions,
  former: Former<"server">,
  server: string,
): Promise<AskingServer> {
  const { peer, api, witness, random } = options;
  const sameKind = former !== undefined && former.witness === witness;
  const asking: AskingServer = {
    ...(await identityOf(options, former, server)),
    role: "server",
    memberId: sameKind ? former.memberId : newMemberId(random),
    witness,
    peer,
    ...(api === undefined ? {} : { api }),
  };
  await writeJoinRecord(options.directory, asking);
  return asking;
}

async function prepareAgent(
  options: JoinOptions,
  former: Former<"agent">,
  server: string,
): Promise<AskingAgent> {
  const asking: AskingAgent = {
    ...(await identityOf(options, former, server)),
    role: "agent",
  };
  await writeJoinRecord(options.directory, asking);
  return asking;
}

const SECRET_BYTES = 32;
async function identityOf(
  { name, random }: JoinOptions,
  former: JoinRecord | undefined,
  server: string,
): Promise<
  Pick<AskingRecord, "version" | "phase" | "server" | "name" | "nodeSecret" | "privateKey">
> {
  const { createPrivateKey } = await import("../os/certificate-requests.ts");
  return {
    version: 1,
    phase: "asking",
    server,
    name,
    nodeSecret: former?.nodeSecret ?? Buffer.from(random.bytes(SECRET_BYTES)).toString("hex"),
    privateKey: former?.privateKey ?? (await createPrivateKey()),
  };
}

function checkServerAnswer(
  server: string,
  ca: string,
  asking: AskingServer,
  answer: JoinServerAnswer,
): void {
  checkCertificate(server, ca, asking, answer.certificate);
  const inGroup = answer.members.some((member) => member.id === asking.memberId);
  if (answer.self.id !== asking.memberId || !inGroup) {
    throw new CommandError(`${server} answered for another member than ${asking.memberId}`);
  }
  if (asking.witness) return;
  const key = answer.secrets?.caPrivateKey;
  if (key !== undefined && isKeyOf(ca, key)) return;
  throw new CommandError(`${server} let this server in without the key of the cluster's authority`);
}

function checkCertificate(
  server: string,
  ca: string,
  asking: AskingRecord,
  certificate: string,
): void {
  const parsed = new X509Certificate(certificate);
  const ours = isKeyOf(certificate, asking.privateKey);
  if (ours && parsed.verify(new X509Certificate(ca).publicKey)) return;
  throw new CommandError(
    `${server} answered with a certificate that is not for this machine's key`,
  );
}

function isKeyOf(certificate: string, privateKey: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(readPrivateKey(privateKey));
}

function describeJoined(record: JoinedRecord): Joined {
  const { answer } = record;
  return {
    clusterId: answer.clusterId,
    name: record.name,
    peer: { privateKey: record.privateKey, certificate: answer.certificate },
    ca: record.ca,
    nodeSecret: record.nodeSecret,
    servers: answer.servers,
    settings: answer.settings,
  };
}

function describeServer(
  directory: DataDirectory,
  record: Extract<JoinedRecord, { role: "server" }>,
): JoinedServer {
  const { self, members } = record.answer;
  const common = { ...describeJoined(record), self, members };
  const privateKey = readCaPrivateKey(directory);
  if (record.witness || privateKey === undefined) return common;
  const secrets = {
    ca: { certificate: record.ca, privateKey },
    adminToken: readAdminToken(directory),
  };
  return { ...common, secrets };
}
