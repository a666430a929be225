import { ISSUER } from "./service-account-claims.ts";
import type { TokenKeys } from "./token-keys.ts";

const CONFIGURATION_PATH = "/.well-known/openid-configuration";
const KEY_SET_PATH = "/openid/v1/jwks";
const CACHED = "public, max-age=3600";

/** Where others learn to check the tokens of ServiceAccounts; undefined for other paths. */
export async function answerIssuer(
  request: Request,
  path: string,
  keys: TokenKeys,
): Promise<Response | undefined> {
  if (path === KEY_SET_PATH) {
    return cached(await keys.keySet(), "application/jwk-set+json");
  }
  if (path !== CONFIGURATION_PATH) return undefined;
  const configuration = {
    issuer: ISSUER,
    jwks_uri: new URL(KEY_SET_PATH, request.url).href,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
  return cached(configuration, "application/json");
}

function cached(value: unknown, type: string): Response {
  const headers = { "content-type": type, "cache-control": CACHED };
  return new Response(JSON.stringify(value), { headers });
}
