import type { Secret } from "../api/index.ts";
import {
  credentialSecret,
  credentialSecretName,
  findJoinToken,
  isExpired,
  nodeToken,
  TOKEN_NAMESPACE,
} from "../apiserver/index.ts";
import { isAlreadyExists, isNotFound, NODES, SECRETS } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import type { Clock } from "../lib/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { Registry } from "../registry/index.ts";
import type { CertificateIssuer, JoinTokens, NodeCredentials } from "./join-admission.ts";

/** Join tokens as the cluster's Secrets say. */
export function clusterTokens(registry: Registry, clock: Clock): JoinTokens {
  return {
    async verify(bearer, role) {
      const token = await findJoinToken(registry, bearer);
      if (token === undefined) return { type: "unknown" };
      if (isExpired(token, clock.now())) return { type: "expired" };
      return token.role === role ? { type: "valid", id: token.id } : { type: "other-role" };
    },
  };
}

/** Keys of nodes as Secrets, written through the API so that every server can. */
export function clusterCredentials(client: Client): NodeCredentials {
  const secrets = client.resource(SECRETS, TOKEN_NAMESPACE);
  return {
    async claim(nodeName, secret) {
      const wanted = credentialSecret(nodeName, nodeToken(nodeName, secret));
      try {
        await secrets.create(wanted);
        return "claimed";
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
      const present = await secrets.get(credentialSecretName(nodeName));
      if (sameData(present, wanted)) return "claimed";
      if (await exists(client.resource(NODES), nodeName)) return "taken";
      await secrets.update({ ...present, data: wanted.data ?? {} });
      return "claimed";
    },
    async holds(nodeName) {
      const secret = credentialSecretName(nodeName);
      return (await exists(secrets, secret)) && exists(client.resource(NODES), nodeName);
    },
    async forget(nodeName) {
      await secrets.delete(credentialSecretName(nodeName)).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    },
  };
}

function sameData(present: Secret, wanted: Secret): boolean {
  return present.type === wanted.type && Bun.deepEquals(present.data, wanted.data);
}

async function exists(
  resource: { get(name: string): Promise<unknown> },
  name: string,
): Promise<boolean> {
  try {
    await resource.get(name);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** Certificates of the cluster's authority; the X.509 library is loaded with the first. */
export function clusterIssuer(
  ca: KeyPair,
  clock: Clock,
  { lifetimeMs }: { readonly lifetimeMs?: number | undefined } = {},
): CertificateIssuer {
  const lifetime = lifetimeMs === undefined ? {} : { lifetimeMs };
  const options = () => ({ names: [], nowMs: clock.now(), ...lifetime });
  return {
    async issueForMember(request, memberId) {
      const { issueMemberCertificate } = await import("../os/certificate-requests.ts");
      return issueMemberCertificate(ca, request, memberId, options());
    },
    async issueForNode(request, nodeName) {
      const { issueNodeCertificate } = await import("../os/certificate-requests.ts");
      return issueNodeCertificate(ca, request, nodeName, options());
    },
  };
}

/** Certificates for people and programs; the X.509 library is loaded with the first. */
export function clientCertificates(
  ca: KeyPair,
  clock: Clock,
): (request: string, lifetimeMs: number) => Promise<string> {
  return async (request, lifetimeMs) => {
    const { issueClientCertificate } = await import("../os/client-certificates.ts");
    return issueClientCertificate(ca, request, { nowMs: clock.now(), lifetimeMs });
  };
}
