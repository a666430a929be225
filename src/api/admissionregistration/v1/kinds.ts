import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE, typed } from "../../table-columns.ts";
import {
  defaultPolicy,
  defaultPolicyBinding,
  defaultWebhooks,
} from "./admissionregistration-defaults.ts";
import {
  validatePolicy,
  validatePolicyBinding,
  validateWebhooks,
} from "./admissionregistration-validation.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "./types.ts";

type Webhooks = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;

const webhooks: KindLogic<Webhooks> = {
  defaults: defaultWebhooks,
  validate: validateWebhooks,
  columns: [
    NAME_COLUMN,
    typed(
      "integer",
      column("Webhooks", "How many webhooks there are.", (object) => object.webhooks?.length ?? 0),
    ),
    AGE_COLUMN,
  ],
};

const policies: KindLogic<ValidatingAdmissionPolicy> = {
  defaults: defaultPolicy,
  validate: validatePolicy,
  columns: [
    NAME_COLUMN,
    typed(
      "integer",
      column("Validations", "How many rules there are.", ({ spec }) => {
        return spec?.validations?.length ?? 0;
      }),
    ),
    column("ParamKind", "Kind of the parameters.", ({ spec }) => {
      const { apiVersion, kind } = spec?.paramKind ?? {};
      return kind === undefined ? "<unset>" : `${apiVersion}/${kind}`;
    }),
    AGE_COLUMN,
  ],
};

const bindings: KindLogic<ValidatingAdmissionPolicyBinding> = {
  defaults: defaultPolicyBinding,
  validate: validatePolicyBinding,
  columns: [
    NAME_COLUMN,
    column("PolicyName", "Policy it puts into force.", ({ spec }) => spec?.policyName ?? NONE),
    column("ParamRef", "Parameters of the policy.", ({ spec }) => {
      const { namespace, name, selector } = spec?.paramRef ?? {};
      if (name !== undefined) return namespace === undefined ? `*/${name}` : `${namespace}/${name}`;
      return selector === undefined ? "<unset>" : JSON.stringify(selector);
    }),
    AGE_COLUMN,
  ],
};

export const admissionregistrationKinds: KindTable = {
  mutatingwebhookconfigurations: webhooks,
  validatingwebhookconfigurations: webhooks,
  validatingadmissionpolicies: policies,
  validatingadmissionpolicybindings: bindings,
};
