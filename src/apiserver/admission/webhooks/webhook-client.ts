import { type admissionregistrationV1, SERVICES } from "../../../api/index.ts";
import { isJsonObject, type JsonObject } from "../../../apimachinery/index.ts";
import type { Registry } from "../../../registry/index.ts";

type ClientConfig = admissionregistrationV1.WebhookClientConfig;

/** One POST to a webhook. */
export interface WebhookRequest {
  readonly url: string;
  readonly body: string;
  /** Certificates (PEM) that its own is signed by; the system's when absent. */
  readonly authority?: string;
  /** What its certificate is made out to, and the Host header, when that is not the URL's. */
  readonly serverName?: string;
  readonly signal: AbortSignal;
}

/** Sends it over TLS, verifies the certificate and follows no redirects. Rejects on failure. */
export type WebhookFetch = (request: WebhookRequest) => Promise<Response>;

/** Answers larger than this are none. */
export const MAX_REVIEW_BYTES = 3 * 1024 * 1024;

const MAX_SHOWN = 200;
const NOT_FOUND = 404;

/** A webhook that gave no answer; the message says why. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** What is shown of the address, and where it really is. */
interface Address {
  readonly shown: string;
  readonly url: string;
  readonly serverName?: string;
}

export interface ReviewCall {
  readonly config: ClientConfig;
  readonly timeoutSeconds: number;
  /** An AdmissionReview. */
  readonly review: JsonObject;
  readonly registry: Registry;
  readonly fetch: WebhookFetch;
}

/** Sends a review and gives the `response` of the answer. Throws {@link WebhookError}. */
export async function callWebhook(call: ReviewCall): Promise<JsonObject> {
  const { config, timeoutSeconds, review, registry, fetch } = call;
  const address = addressOf(config, registry);
  const shown = `${address.shown}?timeout=${timeoutSeconds}s`;
  const fail = (why: string): WebhookError => {
    return new WebhookError(`failed to call webhook: Post "${shown}": ${why}`);
  };
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  const authority = config.caBundle;
  let response: Response;
  let text: string;
  try {
    response = await fetch({
      url: `${address.url}?timeout=${timeoutSeconds}s`,
      body: JSON.stringify(review),
      signal,
      ...(authority === undefined ? {} : { authority: atob(authority) }),
      ...(address.serverName === undefined ? {} : { serverName: address.serverName }),
    });
    text = await response.text();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail(signal.aborted ? "context deadline exceeded" : why);
  }
  if (!response.ok) {
    const said = JSON.stringify(text.slice(0, MAX_SHOWN));
    const why =
      response.status === NOT_FOUND
        ? "the server could not find the requested resource"
        : `an error on the server (${said}) has prevented the request from succeeding`;
    throw new WebhookError(`failed to call webhook: ${why}`);
  }
  if (text.length > MAX_REVIEW_BYTES) throw fail("response is too large");
  return responseOf(text, review);
}

function responseOf(text: string, review: JsonObject): JsonObject {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "no JSON";
    throw new WebhookError(`failed to call webhook: couldn't get version/kind; ${why}`);
  }
  const response = isJsonObject(answer) ? answer["response"] : undefined;
  const request = isJsonObject(review["request"]) ? review["request"] : {};
  if (!isJsonObject(answer) || !isJsonObject(response)) {
    throw new WebhookError("received invalid webhook response: webhook response is empty");
  }
  if (answer["apiVersion"] !== review["apiVersion"] || answer["kind"] !== review["kind"]) {
    const given = `${String(answer["apiVersion"])}, Kind=${String(answer["kind"])}`;
    throw new WebhookError(
      "received invalid webhook response: expected webhook response of " +
        `${String(review["apiVersion"])}, Kind=${String(review["kind"])}, got ${given}`,
    );
  }
  if (response["uid"] !== request["uid"]) {
    const wanted = JSON.stringify(request["uid"]);
    throw new WebhookError(
      "received invalid webhook response: expected response.uid=" +
        `${wanted}, got ${JSON.stringify(response["uid"] ?? "")}`,
    );
  }
  return response;
}

/** A Service is reached at its address, through the cluster's proxy, by the name it has inside. */
function addressOf({ url, service }: ClientConfig, registry: Registry): Address {
  if (service === undefined) return { shown: url ?? "", url: url ?? "" };
  const { namespace, name, path = "/", port = 443 } = service;
  const serverName = `${name}.${namespace}.svc`;
  const shown = `https://${serverName}:${port}${path}`;
  const found = registry.present.find(SERVICES, namespace, name);
  if (found === undefined) {
    throw new WebhookError(`failed to call webhook: Post "${shown}": service "${name}" not found`);
  }
  const { type, externalName, clusterIP, ports = [] } = found.spec ?? {};
  if (type === "ExternalName") return { shown, url: `https://${externalName}:${port}${path}` };
  const isOffered = ports.some((one) => one.port === port);
  if (!isOffered || clusterIP === undefined || clusterIP === "None" || clusterIP === "") {
    const why = `no service port ${port} found for service "${name}"`;
    throw new WebhookError(`failed to call webhook: Post "${shown}": ${why}`);
  }
  return { shown, url: `https://${clusterIP}:${port}${path}`, serverName };
}
