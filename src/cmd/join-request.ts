import { X509Certificate } from "node:crypto";
import type { z } from "zod";
import { bearerOf, CommandError } from "../cli/index.ts";
import type { JoinToken } from "../cli/index.ts";
import { apiErrorFrom } from "../client/index.ts";
import type { ApiError } from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import { certificateHash } from "../os/index.ts";
import { AUTHORITY_PATH } from "./join-wire.ts";

export interface JoinRequestOptions {
  /** "https://HOST:PORT" of any server of the cluster. */
  readonly server: string;
  readonly token: JoinToken;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A server that starts at the same time, or elects a leader, is waited for. */
export const JOIN_DEADLINE_MS = 60_000;
const ATTEMPT_TIMEOUT_MS = 15_000;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;
const MAX_AUTHORITY_CHARACTERS = 16 * 1024;

/**
 * Fetches the authority's certificate from whoever answers, and trusts it because the token says
 * its hash. Gives it as PEM. @throws CommandError
 */
export async function fetchAuthority(options: JoinRequestOptions): Promise<string> {
  const { server, token } = options;
  const response = await attempt(options, () =>
    fetch(`${server}${AUTHORITY_PATH}`, {
      // Nobody is trusted yet: what comes is believed only if it has the hash of the token.
      tls: { rejectUnauthorized: false },
      // A connection without verification must never be used again for one with it.
      keepalive: false,
      redirect: "error",
      signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
    }),
  );
  const text = (await response.text()).slice(0, MAX_AUTHORITY_CHARACTERS);
  const hash = hashOf(text);
  if (hash?.startsWith(token.caHash) === true) return new X509Certificate(text).toString();
  throw new CommandError(
    `${server} is not of the cluster that made the token: ` +
      (hash === undefined
        ? `it answered ${AUTHORITY_PATH} without a certificate`
        : `its authority has the hash ${hash.slice(0, token.caHash.length)}, the token says ` +
          token.caHash) +
      "; nothing was sent to it",
  );
}

/** POSTs to a server whose certificate that authority signed. @throws CommandError */
export async function postJoin<T extends z.ZodType>(
  options: JoinRequestOptions,
  call: { path: string; body: unknown; ca: string; answer: T },
): Promise<z.infer<T>> {
  const { server, token } = options;
  const response = await attempt(options, () =>
    fetch(`${server}${call.path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${bearerOf(token)}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(call.body),
      tls: { ca: call.ca },
      keepalive: false,
      redirect: "error",
      signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
    }),
  );
  const parsed = call.answer.safeParse(await response.json());
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CommandError(
    `${server} let this machine in with an answer that cannot be read ` +
      `(${issue?.path.join(".")}: ${issue?.message}): install the same Kubun on both`,
  );
}

/** Sends until there is an answer that is final. */
async function attempt(
  options: JoinRequestOptions,
  send: () => Promise<Response>,
): Promise<Response> {
  const { clock, logger, server } = options;
  const deadlineMs = clock.monotonic() + JOIN_DEADLINE_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const outcome = await sendOnce(server, send);
    if (outcome.type === "answer") return outcome.response;
    const waitMs = Math.max(pauseMs, outcome.retryAfterMs);
    if (outcome.type === "final" || clock.monotonic() + waitMs > deadlineMs) throw outcome.error;
    logger.info("waiting to join", { server, reason: outcome.error.message });
    await sleep(clock, waitMs);
  }
}

type Outcome =
  | { readonly type: "answer"; readonly response: Response }
  | {
      readonly type: "final" | "later";
      readonly error: CommandError;
      readonly retryAfterMs: number;
    };

async function sendOnce(server: string, send: () => Promise<Response>): Promise<Outcome> {
  let response: Response;
  try {
    response = await send();
  } catch (error) {
    return { ...connectionFailure(server, error), retryAfterMs: 0 };
  }
  if (response.ok) return { type: "answer", response };
  const refused = await apiErrorFrom(response);
  const retryAfterMs = (refused.retryAfterSeconds ?? 0) * 1000;
  const again = refused.code === 429 || refused.code >= 500;
  return { type: again ? "later" : "final", error: describeRefusal(server, refused), retryAfterMs };
}

function connectionFailure(
  server: string,
  error: unknown,
): { type: "final" | "later"; error: CommandError } {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error ? error.message : String(error);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const { hostname } = new URL(server);
    const message =
      `the certificate of ${server} does not cover ${hostname}: join by another of its names, ` +
      `or start it with --tls-san ${hostname}`;
    return { type: "final", error: new CommandError(message) };
  }
  if (/CERT|SIGNATURE|SELF_SIGNED|ISSUER/.test(code)) {
    const message =
      `${server} shows a certificate that the cluster's authority did not sign (${code}): ` +
      "something else answers there; the token was not sent";
    return { type: "final", error: new CommandError(message) };
  }
  return { type: "later", error: new CommandError(`${server} does not answer: ${reason}`) };
}

function describeRefusal(server: string, refused: ApiError): CommandError {
  const hint =
    refused.code === 401 || refused.code === 403
      ? "; print a new token on a server of the cluster: kubun token create --role server|agent"
      : "";
  return new CommandError(`${server} does not let this machine join: ${refused.message}${hint}`);
}

function hashOf(text: string): string | undefined {
  try {
    return certificateHash(text);
  } catch {
    return undefined; // Not a certificate: the caller says so.
  }
}
