import { z } from "zod";
import { isNodeName, NODE_NAME_RULE } from "../cli/index.ts";
import type { Member, MemberId } from "../store/index.ts";

/** Every path of the API between the machines of a cluster begins with this. */
export const CLUSTER_PATH = "/kubun/v1";
/** The authority's certificate, PEM, for everybody. */
export const AUTHORITY_PATH = "/cacerts";

/** Where machines get new certificates: over the peers' mutual TLS only. */
export const RENEWAL_PATH = `${CLUSTER_PATH}/renewal`;
/** Where nodes are told of the servers' peer ports. */
export const ISSUERS_PATH = `${CLUSTER_PATH}/issuers`;

/** What a newer server must not misread; a joiner of another protocol is refused with words. */
export const JOIN_PROTOCOL = 1;
/** Node names and addresses are short; the longest part of a request is the certificate request. */
export const MAX_JOIN_BODY_BYTES = 64 * 1024;

const MAX_PEM_CHARACTERS = 8 * 1024;
const MAX_NAME_CHARACTERS = 253;
const MAX_MEMBERS = 1000;
const MAX_PORT = 65_535;
const MAX_ADDRESS_CHARACTERS = MAX_NAME_CHARACTERS + MAX_PORT.toString().length + 1;
/** "host:port". Every server dials what it is told here, and reads it as part of a URL. */
const HOST_AND_PORT = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:\d{1,5}$/;
const API_ADDRESS = /^(https:\/\/[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:\d{1,5})?$/;

/** What is wrong is told to whoever runs the command on the machine that joins. */
const name = z.string().refine(isNodeName, {
  error: ({ input }) =>
    `--node-name ${JSON.stringify(input).slice(0, MAX_NAME_CHARACTERS)} is not allowed: ` +
    `give ${NODE_NAME_RULE}`,
});
const pem = z.string().max(MAX_PEM_CHARACTERS).startsWith("-----BEGIN ");
const host = z
  .string()
  .max(MAX_NAME_CHARACTERS)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/);
const port = z.int().min(1).max(MAX_PORT);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const cidr = z.string().regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/);
const memberId = z
  .int()
  .positive()
  .transform((id) => id as MemberId);
const url = z.string().max(MAX_NAME_CHARACTERS).startsWith("https://");

/** Where one is reached; without a host at the address the request came from. */
const location = z.object({ host: host.optional(), port });
export type Location = z.infer<typeof location>;

const portRange = z.object({ from: port, to: port });

/** What all servers of a cluster must have alike. */
export const clusterSettingsSchema = z.object({
  clusterCidr: cidr,
  serviceCidr: cidr,
  serviceNodePortRange: portRange,
});
export type ClusterSettings = z.infer<typeof clusterSettingsSchema>;

export const memberSchema = z.object({
  id: memberId,
  name: z.string().max(MAX_NAME_CHARACTERS),
  role: z.enum(["voter", "witness", "learner"]),
  peerAddress: z.string().max(MAX_ADDRESS_CHARACTERS),
  apiAddress: z.string().max(MAX_NAME_CHARACTERS),
}) satisfies z.ZodType<Member>;

const members = z.array(memberSchema).max(MAX_MEMBERS);

const joinRequest = z.object({
  protocol: z.literal(JOIN_PROTOCOL),
  name,
  /** PKCS #10, PEM: proves that the joiner has the key of the certificate it asks for. */
  certificateRequest: pem,
  /**
   * Made by the joiner and kept by it before it asks: asking again with the same is the same
   * machine, whatever became of the first answer; another one is another machine.
   */
  nodeSecret: hex64,
  peer: location,
});

export const joinAgentRequestSchema = joinRequest;
export type JoinAgentRequest = z.infer<typeof joinAgentRequestSchema>;

export const joinServerRequestSchema = joinRequest.extend({
  /** Random, and like the secret kept before it is sent. */
  memberId,
  witness: z.boolean(),
  /** Where its API answers; not of a witness. */
  api: location.optional(),
  /** What its flags say, to be compared with what the cluster has. */
  settings: clusterSettingsSchema.partial(),
});
export type JoinServerRequest = z.infer<typeof joinServerRequestSchema>;

export const joinAgentAnswerSchema = z.object({
  clusterId: z.string().min(1),
  /** For CN system:node:NAME, PEM. */
  certificate: pem,
  /** Where the API answers: "https://HOST:PORT" of every server. */
  servers: z.array(url).max(MAX_MEMBERS),
  settings: clusterSettingsSchema,
});
export type JoinAgentAnswer = z.infer<typeof joinAgentAnswerSchema>;

export const joinServerAnswerSchema = z.object({
  clusterId: z.string().min(1),
  /** For CN kubun:member:ID, PEM. */
  certificate: pem,
  self: memberSchema,
  /** The whole group, the joiner included. */
  members,
  servers: z.array(url).max(MAX_MEMBERS),
  settings: clusterSettingsSchema,
  /** What every server has and a witness has not: the cluster's keys. */
  secrets: z.object({ caPrivateKey: pem, adminToken: z.string().min(1) }).optional(),
});
export type JoinServerAnswer = z.infer<typeof joinServerAnswerSchema>;

/** Where a member is reached from now on. */
export const memberAddressSchema = z.object({
  peerAddress: z.string().max(MAX_ADDRESS_CHARACTERS).regex(HOST_AND_PORT),
  /** Empty of a witness. */
  apiAddress: z.string().max(MAX_NAME_CHARACTERS).regex(API_ADDRESS),
});
export type MemberAddress = z.infer<typeof memberAddressSchema>;

const memberStatusSchema = memberSchema.extend({
  leader: z.boolean(),
  reachable: z.boolean().optional(),
  lag: z.number().optional(),
});

export const memberListSchema = z.object({
  clusterId: z.string(),
  members: z.array(memberStatusSchema).max(MAX_MEMBERS),
});
export type MemberList = z.infer<typeof memberListSchema>;

/** The answer to a change: whom it was about. */
export const memberAnswerSchema = z.object({ member: memberSchema });

/** Asks for the name in the certificate of whoever asks; only the key is taken. */
export const renewalRequestSchema = z.object({ certificateRequest: pem });
export const renewalAnswerSchema = z.object({ certificate: pem });

/** The servers that issue certificates. */
export const issuersSchema = z.object({
  servers: z
    .array(z.object({ id: memberId, address: z.string().max(MAX_ADDRESS_CHARACTERS) }))
    .max(MAX_MEMBERS),
});
