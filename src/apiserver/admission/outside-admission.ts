import {
  MUTATING_WEBHOOK_CONFIGURATIONS,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from "../../api/index.ts";
import type { OutsideAdmission, Registry, ResourceRegistry } from "../../registry/index.ts";
import { type AdmissionContext, attributesOf } from "./admission-attributes.ts";
import { PolicyAdmission } from "./policies/policy-admission.ts";
import { WebhookAdmission, type WebhookAdmissionOptions } from "./webhooks/webhook-admission.ts";

/** What decides about writes must stay open to who mends it: nothing outside judges these. */
const EXEMPT_GROUP = "admissionregistration.k8s.io";

/** Policies and webhooks, which users bring. */
export class OutsideAdmissions {
  readonly #policies = new PolicyAdmission();
  readonly #webhooks: WebhookAdmission;

  constructor(options: WebhookAdmissionOptions) {
    this.#webhooks = new WebhookAdmission(options);
  }

  /** The same resource, all of whose writes are asked about, whatever endpoint they come by. */
  around(resource: ResourceRegistry, context: AdmissionContext): ResourceRegistry {
    const { definition } = context;
    if (definition.group === EXEMPT_GROUP || !hasAny(context.registry)) return resource;
    const admission = (dryRun = false): OutsideAdmission => ({
      mutate: (object, old) => {
        return this.#webhooks.mutate(attributesOf(context, { object, old, dryRun }));
      },
      validate: async (object, old) => {
        // What is judged is what will be stored; nobody changes it here.
        const attributes = attributesOf(context, { object, old, dryRun });
        await this.#policies.validate(attributes);
        await this.#webhooks.validate(attributes);
      },
    });
    return {
      definition: resource.definition,
      get: resource.get,
      list: resource.list,
      watch: resource.watch,
      create: (namespace, object, options) =>
        resource.create(namespace, object, { ...options, admission: admission(options?.dryRun) }),
      update: (namespace, name, change, options) => {
        const how = { ...options, admission: admission(options?.dryRun) };
        return resource.update(namespace, name, change, how);
      },
      delete: (namespace, name, request) => {
        const how = { ...request, admission: admission(request?.dryRun) };
        return resource.delete(namespace, name, how);
      },
      deleteCollection: (list, request) => {
        const how = { ...request, admission: admission(request?.dryRun) };
        return resource.deleteCollection(list, how);
      },
    };
  }
}

function hasAny({ present }: Registry): boolean {
  return (
    present.all(VALIDATING_ADMISSION_POLICY_BINDINGS, "").length > 0 ||
    present.all(VALIDATING_WEBHOOK_CONFIGURATIONS, "").length > 0 ||
    present.all(MUTATING_WEBHOOK_CONFIGURATIONS, "").length > 0
  );
}
