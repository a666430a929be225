import { type FieldError, type FieldErrorType, invalidField } from "../field-error.ts";
import type { FieldPath } from "../field-path.ts";
import { getField, isJsonObject, jsonEquals } from "../json-value.ts";
import type { Schema, ValidationRule } from "../schema.ts";
import { CelBudget, CelCompiler, type CelExpression } from "./cel-expression.ts";
import { celErrorOf } from "./cel-error.ts";
import { celValueOf } from "./cel-values.ts";

/** Steps of all rules of one object together, as Kubernetes bounds a request. */
const MAX_STEPS_OF_OBJECT = 10_000_000;
const MAX_RULE_ERRORS = 100;
const REASONS: Readonly<Record<string, FieldErrorType>> = {
  FieldValueInvalid: "FieldValueInvalid",
  FieldValueForbidden: "FieldValueForbidden",
  FieldValueRequired: "FieldValueRequired",
  FieldValueDuplicate: "FieldValueDuplicate",
};

interface CompiledRule {
  readonly rule: ValidationRule;
  readonly expression: CelExpression;
  readonly message?: CelExpression;
  /** It compares with what was before. */
  readonly isTransition: boolean;
}

interface Visit {
  readonly errors: FieldError[];
  readonly budget: CelBudget;
  readonly isUpdate: boolean;
}

/** The rules in CEL that a schema carries, compiled once (KEP-2876). */
export class SchemaValidations {
  readonly #compiler = new CelCompiler(["self", "oldSelf"]);
  readonly #some: CelExpression;
  readonly #none: CelExpression;
  readonly #rules = new Map<Schema, readonly CompiledRule[]>();
  /** Schemas that have rules, or hold such that have. */
  readonly #withRules = new Set<Schema>();
  readonly #root: Schema;

  /** Throws CelError for a rule that is no expression. */
  constructor(root: Schema) {
    this.#root = root;
    this.#some = this.#compiler.compile("optional.of(self)");
    this.#none = this.#compiler.compile("optional.none()");
    this.#compile(root);
  }

  /** What the rules say of a value; of a change where the old value is given. */
  check(value: unknown, old: unknown, path: FieldPath): FieldError[] {
    const errors: FieldError[] = [];
    const visit = {
      errors,
      budget: new CelBudget(MAX_STEPS_OF_OBJECT),
      isUpdate: old !== undefined,
    };
    this.#visit(this.#root, value, old, path, visit);
    return errors;
  }

  #compile(schema: Schema): boolean {
    const own = (schema.validations ?? []).map((rule) => this.#compileRule(rule));
    if (own.length > 0) this.#rules.set(schema, own);
    let found = own.length > 0;
    for (const child of childrenOf(schema)) if (this.#compile(child)) found = true;
    if (found) this.#withRules.add(schema);
    return found;
  }

  #compileRule(rule: ValidationRule): CompiledRule {
    const message = rule.messageExpression;
    return {
      rule,
      expression: this.#compiler.compile(rule.rule),
      isTransition: /\boldSelf\b/.test(rule.rule),
      ...(message === undefined ? {} : { message: this.#compiler.compile(message) }),
    };
  }

  #visit(schema: Schema, value: unknown, old: unknown, path: FieldPath, visit: Visit): void {
    const { errors, budget } = visit;
    if (!this.#withRules.has(schema) || budget.isSpent || errors.length >= MAX_RULE_ERRORS) return;
    if (value === null && schema.nullable === true) return;
    this.#checkOwn(schema, value, old, path, visit);
    if (schema.kind === "object" && isJsonObject(value)) {
      for (const { name, schema: child } of schema.fields.values()) {
        const field = getField(value, name);
        if (field === undefined) continue;
        this.#visit(child, field, fieldOf(old, name), path.child(name), visit);
      }
    } else if (schema.kind === "map" && isJsonObject(value)) {
      for (const [key, child] of Object.entries(value)) {
        this.#visit(schema.values, child, fieldOf(old, key), path.key(key), visit);
      }
    } else if (schema.kind === "list" && Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        const before = itemBefore(schema.mapKeys, item, old);
        this.#visit(schema.items, item, before, path.index(index), visit);
      }
    }
  }

  #checkOwn(schema: Schema, value: unknown, old: unknown, path: FieldPath, visit: Visit): void {
    const rules = this.#rules.get(schema);
    if (rules === undefined) return;
    const self = celValueOf(schema, value);
    const before = old === undefined ? undefined : celValueOf(schema, old);
    // What stays as it was is not judged again by rules that may be newer than it.
    const isUnchanged = old !== undefined && jsonEquals(value, old);
    for (const compiled of rules) {
      const { rule, isTransition } = compiled;
      if (!isTransition && isUnchanged) continue;
      let oldSelf: unknown = before ?? null;
      if (isTransition && rule.optionalOldSelf === true) oldSelf = this.#optional(before);
      else if (isTransition && old === undefined) continue;
      const error = failureOf(schema, compiled, { self, oldSelf }, path, visit.budget);
      if (error !== undefined) visit.errors.push(error);
    }
  }

  #optional(value: unknown): unknown {
    return value === undefined
      ? this.#none.evaluate({ self: null, oldSelf: null })
      : this.#some.evaluate({ self: value, oldSelf: null });
  }
}

interface Variables extends Readonly<Record<string, unknown>> {
  readonly self: unknown;
  readonly oldSelf: unknown;
}

function failureOf(
  schema: Schema,
  { rule, expression, message }: CompiledRule,
  variables: Variables,
  path: FieldPath,
  budget: CelBudget,
): FieldError | undefined {
  const fallback = rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
  const shown = typeNameOf(schema);
  try {
    if (expression.evaluate(variables, budget) === true) return undefined;
  } catch (error) {
    const detail = `${celErrorOf(error).message} evaluating rule: ${fallback}`;
    return invalidField(path, shown, detail);
  }
  const detail = messageOf(message, variables, budget) ?? fallback;
  const at = rule.fieldPath === undefined ? String(path) : `${String(path)}${rule.fieldPath}`;
  return {
    type: REASONS[rule.reason ?? ""] ?? "FieldValueInvalid",
    field: at.replace(/^\./, ""),
    badValue: shown,
    detail,
  };
}

/** Undefined where the expression gives no text that can be shown. */
function messageOf(
  message: CelExpression | undefined,
  variables: Variables,
  budget: CelBudget,
): string | undefined {
  if (message === undefined) return undefined;
  try {
    const text = message.evaluate(variables, budget);
    const isShown = typeof text === "string" && text.trim() !== "" && !text.includes("\n");
    return isShown ? text.trim() : undefined;
  } catch {
    // The rule itself has failed already, and its own message says so.
    return undefined;
  }
}

function childrenOf(schema: Schema): readonly Schema[] {
  // Types that are built in, as metadata's, may contain themselves and have no rules.
  if (schema.kind === "object" && !schema.builtIn) {
    return Array.from(schema.fields.values(), (field) => field.schema);
  }
  if (schema.kind === "map") return [schema.values];
  return schema.kind === "list" ? [schema.items] : [];
}

/** Errors of rules show the type of a value instead of the value. */
function typeNameOf({ kind }: Schema): string {
  if (kind === "map") return "object";
  if (kind === "list") return "array";
  return kind === "int32" || kind === "int64" ? "integer" : kind;
}

function fieldOf(old: unknown, name: string): unknown {
  return isJsonObject(old) ? getField(old, name) : undefined;
}

/** Only items of lists that are maps have an identity that outlives a change. */
function itemBefore(mapKeys: readonly string[], item: unknown, old: unknown): unknown {
  if (mapKeys.length === 0 || !Array.isArray(old) || !isJsonObject(item)) return undefined;
  return old.find((other: unknown) => {
    return mapKeys.every((key) => jsonEquals(fieldOf(other, key), getField(item, key)));
  });
}
