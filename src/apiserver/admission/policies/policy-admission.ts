import {
  type admissionregistrationV1,
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from "../../../api/index.ts";
import {
  CelError,
  forbidden,
  isStatusError,
  type KubeObject,
  labelSelectorFrom,
  labelSelectorText,
  parseApiVersion,
  type StatusError,
} from "../../../apimachinery/index.ts";
import type { AdmissionAttributes } from "../admission-attributes.ts";
import { matchesResources } from "../match-resources.ts";
import { type Compiled, holdsAll, PolicyCompiler, PolicyScope } from "./policy-expressions.ts";

type Policy = admissionregistrationV1.ValidatingAdmissionPolicy;
type Binding = admissionregistrationV1.ValidatingAdmissionPolicyBinding;
type Validation = admissionregistrationV1.Validation;

const CODES: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

interface CompiledPolicy {
  readonly conditions: readonly {
    readonly of: admissionregistrationV1.MatchCondition;
    readonly compiled: Compiled;
  }[];
  readonly variables: readonly { readonly name: string; readonly compiled: Compiled }[];
  readonly validations: readonly {
    readonly of: Validation;
    readonly compiled: Compiled;
    readonly message?: Compiled;
  }[];
}

/** A rule that does not hold. */
interface Denial {
  readonly message: string;
  readonly reason: string;
}

/** Holds writes to ValidatingAdmissionPolicies, where a binding puts them into force (KEP-3488). */
export class PolicyAdmission {
  readonly #compiler = new PolicyCompiler();
  /** By the stored object, which is another one after each change. */
  readonly #compiled = new WeakMap<Readonly<Policy>, CompiledPolicy>();

  /** Throws the refusal of the first policy that denies the write. */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    const { present } = attributes.context.registry;
    for (const binding of present.all(VALIDATING_ADMISSION_POLICY_BINDINGS, "")) {
      const name = binding.spec.policyName;
      const policy = present.find(VALIDATING_ADMISSION_POLICIES, "", name);
      if (policy?.spec === undefined) continue;
      const { matchConstraints } = policy.spec;
      if (!matchesResources(matchConstraints, attributes)) continue;
      if (!matchesResources(binding.spec.matchResources, attributes)) continue;
      for (const denial of await this.#denials(policy, binding, attributes)) {
        enforce(denial, policy, binding, attributes);
      }
    }
  }

  async #denials(
    policy: Readonly<Policy>,
    binding: Readonly<Binding>,
    attributes: AdmissionAttributes,
  ): Promise<readonly Denial[]> {
    const isIgnored = policy.spec?.failurePolicy === "Ignore";
    try {
      const given = await paramsOf(policy, binding, attributes);
      return given.flatMap((params) => this.#judge(policy, attributes, params));
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return isIgnored ? [] : [{ message: error.message, reason: "Invalid" }];
    }
  }

  #judge(
    policy: Readonly<Policy>,
    attributes: AdmissionAttributes,
    params: Readonly<KubeObject> | undefined,
  ): Denial[] {
    const { conditions, variables, validations } = this.#compile(policy);
    const scope = new PolicyScope(attributes, params);
    if (!holdsAll(conditions, scope)) return [];
    for (const { name, compiled } of variables) scope.define(name, compiled);
    const denials: Denial[] = [];
    for (const { of, compiled, message } of validations) {
      const reason = of.reason ?? "Invalid";
      try {
        if (scope.evaluate(compiled) === true) continue;
        denials.push({ message: messageOf(of, message, scope), reason });
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
        if (policy.spec?.failurePolicy === "Ignore") continue;
        const text = `expression '${of.expression}' resulted in error: ${error.message}`;
        denials.push({ message: text, reason });
      }
    }
    return denials;
  }

  #compile(policy: Readonly<Policy>): CompiledPolicy {
    const known = this.#compiled.get(policy);
    if (known !== undefined) return known;
    const { matchConditions = [], variables = [], validations = [] } = policy.spec ?? {};
    const compile = (text: string): Compiled => this.#compiler.compile(text);
    const compiled: CompiledPolicy = {
      conditions: matchConditions.map((of) => ({ of, compiled: compile(of.expression) })),
      variables: variables.map(({ name, expression }) => ({ name, compiled: compile(expression) })),
      validations: validations.map((of) => ({
        of,
        compiled: compile(of.expression),
        ...(of.messageExpression === undefined ? {} : { message: compile(of.messageExpression) }),
      })),
    };
    this.#compiled.set(policy, compiled);
    return compiled;
  }
}

/** One evaluation for each: [undefined] for a policy without parameters. */
async function paramsOf(
  { spec }: Readonly<Policy>,
  binding: Readonly<Binding>,
  { context, namespace }: AdmissionAttributes,
): Promise<readonly (Readonly<KubeObject> | undefined)[]> {
  const { paramRef } = binding.spec;
  if (spec?.paramKind === undefined || paramRef === undefined) return [undefined];
  const { apiVersion = "", kind = "" } = spec.paramKind;
  const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: "" };
  const definition = context.registry.definitions.findKind(group, version, kind);
  if (definition === undefined) {
    const why = `failed to find resource referenced by paramKind: '${apiVersion}, Kind=${kind}'`;
    throw new CelError(`failed to configure policy: ${why}`);
  }
  const where = definition.namespaced ? paramRef.namespace || namespace : "";
  const resource = context.registry.resource(definition);
  let found: readonly Readonly<KubeObject>[] = [];
  if (paramRef.selector !== undefined) {
    const labelSelector = labelSelectorText(labelSelectorFrom(paramRef.selector));
    const list = await resource.list({ namespace: where, labelSelector, resourceVersion: "0" });
    found = list.items.map(({ object }) => object);
  } else {
    try {
      const options = { resourceVersion: "0" };
      found = [(await resource.get(where, paramRef.name ?? "", options)).object];
    } catch (error) {
      if (!isStatusError(error, "NotFound")) throw error;
    }
  }
  if (found.length > 0 || paramRef.parameterNotFoundAction === "Allow") return found;
  const why = "no params found for policy binding with `Deny` parameterNotFoundAction";
  throw new CelError(`failed to configure binding: ${why}`);
}

function messageOf(of: Validation, message: Compiled | undefined, scope: PolicyScope): string {
  const fallback = of.message?.trim() || `failed expression: ${of.expression.trim()}`;
  if (message === undefined) return fallback;
  try {
    const text = scope.evaluate(message);
    return typeof text === "string" && text.trim() !== "" ? text.trim() : fallback;
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return fallback;
  }
}

function enforce(
  denial: Denial,
  { metadata }: Readonly<Policy>,
  binding: Readonly<Binding>,
  attributes: AdmissionAttributes,
): void {
  const bound = `with binding '${binding.metadata.name}'`;
  const who = `ValidatingAdmissionPolicy '${metadata.name}' ${bound}`;
  const { validationActions } = binding.spec;
  if (validationActions.includes("Deny"))
    throw refusal(`${who} denied request: `, denial, attributes);
  if (validationActions.includes("Warn")) {
    attributes.context.warn(`Validation failed for ${who}: ${denial.message}`);
  }
}

function refusal(
  who: string,
  { message, reason }: Denial,
  { context, name }: AdmissionAttributes,
): StatusError {
  const text = who + message;
  const error = forbidden(context.definition, name, text);
  Object.assign(error.status, {
    reason,
    code: CODES[reason] ?? 422,
    details: { ...error.status.details, causes: [{ message: text }] },
  });
  return error;
}
