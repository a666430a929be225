import {
  type admissionregistrationV1,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from "../../../api/index.ts";
import {
  applyJsonPatch,
  CelError,
  DecodeError,
  decodeInto,
  internalError,
  isJsonObject,
  jsonEquals,
  type JsonObject,
  type KubeObject,
  StatusError,
} from "../../../apimachinery/index.ts";
import { type Random, randomUuid } from "../../../lib/index.ts";
import { complete } from "../../object-intake.ts";
import { type AdmissionAttributes, requestOf } from "../admission-attributes.ts";
import { matchesRules, matchesSelectors } from "../match-resources.ts";
import {
  type Compiled,
  holdsAll,
  PolicyCompiler,
  PolicyScope,
} from "../policies/policy-expressions.ts";
import { callWebhook, WebhookError, type WebhookFetch } from "./webhook-client.ts";

type Webhook = admissionregistrationV1.MutatingWebhook | admissionregistrationV1.ValidatingWebhook;

const REVIEW_VERSION = "admission.k8s.io/v1";
const DEFAULT_TIMEOUT_SECONDS = 10;
const BAD_REQUEST = 400;

export interface WebhookAdmissionOptions {
  readonly fetch: WebhookFetch;
  readonly random: Random;
}

/** Asks the webhooks that users registered. */
export class WebhookAdmission {
  readonly #options: WebhookAdmissionOptions;
  readonly #compiler = new PolicyCompiler();
  /** By the stored webhook, which is another one after each change. */
  readonly #conditions = new WeakMap<Webhook, readonly ConditionOf[]>();

  constructor(options: WebhookAdmissionOptions) {
    this.#options = options;
  }

  /**
   * Lets one webhook after the other change the object, in place. Those that asked for it see it a
   * second time when another one has changed it after them.
   */
  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const { present } = attributes.context.registry;
    const webhooks = present
      .all(MUTATING_WEBHOOK_CONFIGURATIONS, "")
      .flatMap((configuration) => configuration.webhooks ?? []);
    let lastChange = -1;
    for (const [index, webhook] of webhooks.entries()) {
      if (await this.#change(webhook, attributes)) lastChange = index;
    }
    for (const [index, webhook] of webhooks.entries()) {
      if (index >= lastChange) break;
      if (webhook.reinvocationPolicy === "IfNeeded") await this.#change(webhook, attributes);
    }
  }

  /** Asks all at once; throws the first refusal in their order. */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    const { present } = attributes.context.registry;
    const webhooks = present
      .all(VALIDATING_WEBHOOK_CONFIGURATIONS, "")
      .flatMap((configuration) => configuration.webhooks ?? []);
    const asked = await Promise.allSettled(webhooks.map((one) => this.#ask(one, attributes)));
    for (const result of asked) if (result.status === "rejected") throw result.reason;
  }

  async #change(webhook: Webhook, attributes: AdmissionAttributes): Promise<boolean> {
    const response = await this.#ask(webhook, attributes);
    const patch = response?.["patch"];
    const { object, context } = attributes;
    if (typeof patch !== "string" || patch === "" || object === undefined) return false;
    let next: unknown;
    try {
      next = applyJsonPatch(object, JSON.parse(Buffer.from(patch, "base64").toString()));
      if (!isJsonObject(next)) throw new TypeError("the result is no object");
      decodeInto(context.definition.schema, next);
    } catch (error) {
      const isTheirs =
        error instanceof StatusError ||
        error instanceof SyntaxError ||
        error instanceof TypeError ||
        error instanceof DecodeError;
      if (!isTheirs) throw error;
      throw internalError(new Error(`admission webhook "${webhook.name}": ${error.message}`));
    }
    const changed = next as unknown as KubeObject;
    complete(context.definition, changed);
    if (jsonEquals(changed, object)) return false;
    for (const field of Object.keys(object)) delete object[field];
    Object.assign(object, changed);
    return true;
  }

  /** The answer of a webhook; undefined where it is not asked, or where its failure is ignored. */
  async #ask(webhook: Webhook, attributes: AdmissionAttributes): Promise<JsonObject | undefined> {
    let response: JsonObject;
    try {
      if (!this.#isAbout(webhook, attributes)) return undefined;
      response = await this.#call(webhook, attributes);
    } catch (error) {
      if (!(error instanceof WebhookError) && !(error instanceof CelError)) throw error;
      if (webhook.failurePolicy === "Ignore") return undefined;
      throw internalError(new Error(`failed calling webhook "${webhook.name}": ${error.message}`));
    }
    for (const warning of textsOf(response["warnings"])) attributes.context.warn(warning);
    if (response["allowed"] !== true) throw refusal(webhook.name, response["status"]);
    return response;
  }

  #isAbout(webhook: Webhook, attributes: AdmissionAttributes): boolean {
    if (!matchesRules(webhook.rules, attributes)) return false;
    if (!matchesSelectors(webhook, attributes)) return false;
    const conditions = this.#conditionsOf(webhook);
    return conditions.length === 0 || holdsAll(conditions, new PolicyScope(attributes));
  }

  #conditionsOf(webhook: Webhook): readonly ConditionOf[] {
    let conditions = this.#conditions.get(webhook);
    if (conditions === undefined) {
      conditions = (webhook.matchConditions ?? []).map((of) => {
        return { of, compiled: this.#compiler.compile(of.expression) };
      });
      this.#conditions.set(webhook, conditions);
    }
    return conditions;
  }

  #call(webhook: Webhook, attributes: AdmissionAttributes): Promise<JsonObject> {
    const { object, old, context } = attributes;
    const request = {
      uid: randomUuid(this.#options.random),
      ...requestOf(attributes),
      object: object ?? null,
      oldObject: old ?? null,
    };
    return callWebhook({
      config: webhook.clientConfig,
      timeoutSeconds: webhook.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
      review: { kind: "AdmissionReview", apiVersion: REVIEW_VERSION, request },
      registry: context.registry,
      fetch: this.#options.fetch,
    });
  }
}

interface ConditionOf {
  readonly of: admissionregistrationV1.MatchCondition;
  readonly compiled: Compiled;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** The webhook's own words and code, where it gave any. */
function refusal(name: string, given: unknown): StatusError {
  const status = isJsonObject(given) ? given : {};
  const { message, reason, code, details } = status;
  const denied = `admission webhook "${name}" denied the request`;
  const [why] = textsOf([message, reason]).filter((one) => one !== "");
  const isRefusal = typeof code === "number" && code >= BAD_REQUEST;
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: why === undefined ? `${denied} without explanation` : `${denied}: ${why}`,
    ...(typeof reason === "string" && reason !== "" ? { reason } : {}),
    ...(isJsonObject(details) ? { details } : {}),
    code: isRefusal ? code : BAD_REQUEST,
  });
}
