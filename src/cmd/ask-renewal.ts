import { createPrivateKey as readPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import { apiErrorFrom } from "../client/index.ts";
import { ANY_SERVER } from "../os/index.ts";
import type { KeyPair, NodeLink } from "../os/index.ts";
import { RENEWAL_PATH, renewalAnswerSchema } from "./join-wire.ts";
import { lifeOf } from "./keep-certificate.ts";
import { memberName } from "./peer-access.ts";

/** A server that issues certificates, as others reach its peer port. */
export interface IssuingServer {
  readonly id: number;
  /** "host:port" */
  readonly address: string;
}

export interface AskRenewalOptions {
  readonly link: Pick<NodeLink, "fetchFrom">;
  /** The certificate that is to be replaced; it proves who asks. */
  readonly current: string;
  /** The authority, PEM. */
  readonly ca: string;
  /** In the order in which they are asked. */
  readonly servers: readonly IssuingServer[];
  readonly signal: AbortSignal;
}

/** One server's answer may take so long; it asks the others whether the machine still belongs. */
export const ANSWER_WITHIN_MS = 15_000;

/**
 * A certificate for a new key and the same name, from the first server that gives one. Rejects with
 * what the last one said.
 */
export async function askRenewal(options: AskRenewalOptions): Promise<KeyPair> {
  const { createCertificateRequest, createPrivateKey } =
    await import("../os/certificate-requests.ts");
  const privateKey = await createPrivateKey();
  const certificateRequest = await createCertificateRequest(privateKey, { commonName: "kubun" });
  let failure = new Error("no server is known that issues certificates");
  for (const server of options.servers) {
    if (options.signal.aborted) break;
    try {
      const certificate = await askOne(options, server, certificateRequest);
      checkAnswer(options, privateKey, certificate);
      return { privateKey, certificate };
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
  }
  throw failure;
}

async function askOne(
  { link, signal }: AskRenewalOptions,
  { id, address }: IssuingServer,
  certificateRequest: string,
): Promise<string> {
  const ask = link.fetchFrom(address, { ...ANY_SERVER, commonName: memberName(id) });
  const response = await ask(
    new Request(`http://peer${RENEWAL_PATH}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ certificateRequest }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    }),
  );
  if (!response.ok) throw await apiErrorFrom(response);
  const answer: z.infer<typeof renewalAnswerSchema> = renewalAnswerSchema.parse(
    await response.json(),
  );
  return answer.certificate;
}

/** A certificate that would not work is not put in the place of one that does. */
function checkAnswer(
  { current, ca }: AskRenewalOptions,
  privateKey: string,
  certificate: string,
): void {
  const given = new X509Certificate(certificate);
  const ours =
    given.checkPrivateKey(readPrivateKey(privateKey)) &&
    given.verify(new X509Certificate(ca).publicKey) &&
    given.subject === new X509Certificate(current).subject;
  if (!ours) throw new Error("the server answered with a certificate for another name or key");
  if (lifeOf(certificate).untilMs > lifeOf(current).untilMs) return;
  throw new Error("the server answered with a certificate that ends no later");
}
