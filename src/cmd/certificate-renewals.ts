import { z } from "zod";
import { JoinLimiter } from "../apiserver/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import { NODES_GROUP, SERVERS_GROUP } from "../os/index.ts";
import type { PeerIdentity } from "../os/index.ts";
import type { Store } from "../store/index.ts";
import type { CertificateIssuer, NodeCredentials } from "./join-admission.ts";
import { answerRefusal, refusal, refusalOfError } from "./join-status.ts";
import { renewalAnswerSchema, renewalRequestSchema } from "./join-wire.ts";
import { memberName } from "./peer-access.ts";
import { isStatusError } from "../apimachinery/index.ts";

export interface RenewalOptions {
  readonly store: Pick<Store, "membership" | "barrier">;
  readonly credentials: Pick<NodeCredentials, "holds">;
  readonly issuer: CertificateIssuer;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NODE_PREFIX = "system:node:";

/**
 * Answers a machine that asks for a new certificate with the one it has: over mutual TLS, for the
 * same name, and only while the latest state has its Node and key, or it as a member.
 */
export function createRenewals(
  options: RenewalOptions,
): (request: Request, peer: PeerIdentity) => Promise<Response> {
  const { clock, logger } = options;
  // Of names as of addresses: who asks again and again is slowed down, and the others are not.
  const limiter = new JoinLimiter({ clock });
  return async (request, peer) => {
    try {
      const waitSeconds = Math.ceil(limiter.take(peer.commonName) / 1000);
      if (waitSeconds > 0) {
        const why = `too many certificates were asked for: wait ${waitSeconds} s`;
        throw refusal(429, "TooManyRequests", why, { retryAfterSeconds: waitSeconds });
      }
      const certificate = await issue(options, peer, await readRequest(request));
      logger.info("a certificate was renewed for a peer", { peer: peer.commonName });
      return Response.json({ certificate } satisfies z.infer<typeof renewalAnswerSchema>);
    } catch (error) {
      const known = isStatusError(error) ? error : refusalOfError(error);
      if (known !== undefined) return answerRefusal(known);
      logger.error("a certificate could not be renewed", { error: String(error) });
      return answerRefusal(refusal(500, "InternalError", "the server failed; its log says how"));
    }
  };
}

async function issue(
  { store, credentials, issuer }: RenewalOptions,
  { commonName, organizations }: PeerIdentity,
  certificateRequest: string,
): Promise<string> {
  // Whoever was removed a moment ago must not find a server that has not heard of it.
  await store.barrier();
  if (organizations.includes(SERVERS_GROUP)) {
    const member = store.membership.members().find(({ id }) => memberName(id) === commonName);
    if (member !== undefined) return issuer.issueForMember(certificateRequest, member.id);
    throw refusal(403, "Forbidden", `${commonName} is no member of this cluster`);
  }
  const nodeName = commonName.startsWith(NODE_PREFIX) ? commonName.slice(NODE_PREFIX.length) : "";
  if (organizations.includes(NODES_GROUP) && nodeName !== "") {
    if (await credentials.holds(nodeName)) return issuer.issueForNode(certificateRequest, nodeName);
    throw refusal(403, "Forbidden", `node ${nodeName} was removed from this cluster`);
  }
  throw refusal(403, "Forbidden", `${commonName} is no machine of this cluster`);
}

async function readRequest(request: Request): Promise<string> {
  let bytes = 0;
  const parts: Uint8Array[] = [];
  for await (const part of request.body ?? []) {
    bytes += part.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      throw refusal(413, "RequestEntityTooLarge", `the request is over ${MAX_BODY_BYTES} bytes`);
    }
    parts.push(part);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
    return renewalRequestSchema.parse(value).certificateRequest;
  } catch {
    throw refusal(400, "BadRequest", "the request is not one for a certificate");
  }
}

/** A certificate request, and little besides. */
const MAX_BODY_BYTES = 16 * 1024;
