import type { admissionregistrationV1 } from "../../../api/index.ts";
import {
  CelBudget,
  CelCompiler,
  CelError,
  type CelExpression,
  celValue,
} from "../../../apimachinery/index.ts";
import { type AdmissionAttributes, requestOf } from "../admission-attributes.ts";

const VARIABLES = [
  "object",
  "oldObject",
  "request",
  "params",
  "namespaceObject",
  "variables",
] as const;
const MAX_STEPS_OF_POLICY = 10_000_000;

export type Compiled = { readonly expression: CelExpression } | { readonly error: CelError };

type Condition = admissionregistrationV1.MatchCondition;

/** Compiles what users wrote; what cannot be compiled fails when it is needed. */
export class PolicyCompiler {
  readonly #compiler = new CelCompiler(VARIABLES);

  compile(text: string): Compiled {
    try {
      return { expression: this.#compiler.compile(text) };
    } catch (error) {
      if (error instanceof CelError) return { error };
      throw error;
    }
  }
}

/** What the expressions of one policy, or of one webhook, are given about one write. */
export class PolicyScope {
  readonly #values: Record<string, unknown>;
  readonly #variables = new Map<string, unknown>();
  readonly #budget = new CelBudget(MAX_STEPS_OF_POLICY);

  constructor(attributes: AdmissionAttributes, params?: unknown) {
    const { object, old, namespaceObject } = attributes;
    this.#values = {
      object: celValue(object ?? null),
      oldObject: celValue(old ?? null),
      request: celValue(requestOf(attributes)),
      params: celValue(params ?? null),
      namespaceObject: celValue(namespaceObject ?? null),
      variables: this.#variables,
    };
  }

  /** Throws CelError. */
  evaluate(compiled: Compiled): unknown {
    if ("error" in compiled) throw compiled.error;
    return compiled.expression.evaluate(this.#values, this.#budget);
  }

  /** Sets a variable for all that come later; what fails is no key of `variables`. */
  define(name: string, compiled: Compiled): void {
    try {
      this.#variables.set(name, this.evaluate(compiled));
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
    }
  }
}

/**
 * Whether all conditions hold. One that is false decides, even when another could not be evaluated;
 * else the error does.
 */
export function holdsAll(
  conditions: readonly { readonly of: Condition; readonly compiled: Compiled }[],
  scope: PolicyScope,
): boolean {
  let failed: CelError | undefined;
  for (const { of, compiled } of conditions) {
    try {
      if (scope.evaluate(compiled) !== true) return false;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failed ??= new CelError(`expression '${of.expression}' resulted in error: ${error.message}`);
    }
  }
  if (failed !== undefined) throw failed;
  return true;
}
