import {
  ALLOWED_HOSTS_ANNOTATION,
  formatAllowedHost,
  isAllowed,
} from "../../component/pod-grants.ts";
import type { InstanceContext } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";
import { IoFailure } from "../io/io-failure.ts";
import { Exchange } from "./exchange.ts";
import { HttpError, type ErrorCode } from "./http-error.ts";
import { FutureIncomingResponse } from "./incoming-response.ts";
import type { OutgoingRequest, RequestOptions, RequestParts } from "./outgoing-request.ts";
import { parseAuthority } from "./request-target.ts";

const INTERFACE = "wasi:http/outgoing-handler";
const MAX_TIMEOUT_NS = 24n * 3_600_000_000_000n;

/** `handle` of wasi:http/outgoing-handler. */
export function outgoingHandler(context: InstanceContext) {
  return (
    request: OutgoingRequest,
    options: RequestOptions | undefined,
  ): FutureIncomingResponse => {
    const parts = request.take();
    options?.surrender();
    try {
      return send(context, parts, options);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      parts.body?.refuse(new IoFailure(error.message, { kind: "http", code: error.code }));
      throw new GuestError<ErrorCode>(error.code);
    }
  };
}

function send(
  context: InstanceContext,
  parts: RequestParts,
  options: RequestOptions | undefined,
): FutureIncomingResponse {
  const { scope, shared } = context;
  const { scheme, authority } = targetOf(context, parts);
  if (shared.egress === undefined) {
    shared.denials.unavailable(INTERFACE, authority, "this pod has no way out");
    throw new HttpError({ tag: "HTTP-request-denied" });
  }
  const exchange = new Exchange(shared.egress, scope.clock, {
    head: {
      method: parts.method,
      scheme,
      authority,
      pathWithQuery: parts.pathWithQuery ?? "/",
      headers: parts.headers,
      connectTimeoutMs: milliseconds(options?.connectTimeout()),
    },
    body: parts.body,
    declaredLength: parts.declaredLength,
    firstByteTimeoutMs: milliseconds(options?.firstByteTimeout()),
    betweenBytesTimeoutMs: milliseconds(options?.betweenBytesTimeout()),
  });
  try {
    const future = new FutureIncomingResponse(scope, exchange);
    exchange.start();
    return future;
  } catch (error) {
    exchange.abort();
    throw error;
  }
}

/** Where it goes, if it may. Throws HttpError. */
function targetOf(
  { options, shared }: InstanceContext,
  parts: RequestParts,
): { readonly scheme: "http" | "https"; readonly authority: string } {
  // Without a scheme it is https, as other hosts have it.
  const tag = parts.scheme?.tag ?? "HTTPS";
  if (tag === "other") throw new HttpError({ tag: "HTTP-protocol-error" });
  if (parts.method === "CONNECT") throw new HttpError({ tag: "HTTP-request-method-invalid" });
  const scheme = tag === "HTTP" ? "http" : "https";
  const authority = parts.authority ?? "";
  const target = parseAuthority(authority);
  if (target === undefined) throw new HttpError({ tag: "HTTP-request-URI-invalid" });
  const port = target.port ?? (scheme === "http" ? 80 : 443);
  if (!isAllowed(options.grants.allowedHosts, scheme, target.host, port)) {
    const entry = formatAllowedHost(scheme, target.host, port);
    shared.denials.tell(INTERFACE, entry, ALLOWED_HOSTS_ANNOTATION);
    throw new HttpError({ tag: "HTTP-request-denied" });
  }
  return { scheme, authority };
}

function milliseconds(durationNs: bigint | undefined): number | undefined {
  if (durationNs === undefined) return undefined;
  const bounded = durationNs > MAX_TIMEOUT_NS ? MAX_TIMEOUT_NS : durationNs;
  return Math.max(1, Number(bounded) / 1e6);
}
