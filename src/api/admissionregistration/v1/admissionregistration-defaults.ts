import type {
  MatchResources,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "./types.ts";

const TIMEOUT_SECONDS = 10;
const WEBHOOK_PORT = 443;

export function defaultWebhooks(
  configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
): void {
  const mutating = configuration.kind === "MutatingWebhookConfiguration";
  for (const webhook of configuration.webhooks ?? []) {
    webhook.failurePolicy ??= "Fail";
    webhook.matchPolicy ??= "Equivalent";
    webhook.namespaceSelector ??= {};
    webhook.objectSelector ??= {};
    webhook.timeoutSeconds ??= TIMEOUT_SECONDS;
    if (mutating) (webhook as { reinvocationPolicy?: string }).reinvocationPolicy ??= "Never";
    for (const rule of webhook.rules ?? []) rule.scope ??= "*";
    const service = webhook.clientConfig?.service;
    if (service !== undefined) service.port ??= WEBHOOK_PORT;
  }
}

export function defaultPolicy({ spec }: ValidatingAdmissionPolicy): void {
  if (spec === undefined) return;
  spec.failurePolicy ??= "Fail";
  defaultMatch(spec.matchConstraints);
}

export function defaultPolicyBinding({ spec }: ValidatingAdmissionPolicyBinding): void {
  defaultMatch(spec?.matchResources);
}

function defaultMatch(match: MatchResources | undefined): void {
  if (match === undefined) return;
  match.matchPolicy ??= "Equivalent";
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) {
    rule.scope ??= "*";
  }
}
