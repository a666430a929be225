import type { Environment } from "@marcbachmann/cel-js";
import { LinearPattern, PatternError } from "../linear-pattern.ts";
import { CelBudgetError, CelError, celErrorOf } from "./cel-error.ts";
import { celLibrary } from "./cel-library.ts";
import { registerKubernetesLibrary } from "./kubernetes-library.ts";

/** Steps of one evaluation. A step takes about a tenth of a microsecond. */
export const MAX_CEL_STEPS = 1_000_000;
const MAX_EXPRESSION_LENGTH = 65_536;
/** Items or characters of a value that an expression makes. */
const MAX_VALUE_SIZE = 1_000_000;
/** So many items or characters cost a step. */
const SIZE_OF_STEP = 100;
const LIMITS = {
  maxAstNodes: 10_000,
  maxDepth: 100,
  maxListElements: 1000,
  maxMapEntries: 1000,
  maxCallArguments: 32,
};

/** How many steps a group of expressions may take together; one for each object that is judged. */
export class CelBudget {
  #left: number;

  constructor(steps: number = MAX_CEL_STEPS) {
    this.#left = steps;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left >= 0) return;
    throw new CelBudgetError("operation cancelled: actual cost limit exceeded");
  }
}

export type CelVariables = Readonly<Record<string, unknown>>;

/** A compiled expression. Keep it: compiling costs more than evaluating. */
export interface CelExpression {
  readonly text: string;
  /** The type it gives, as far as it is known before it is evaluated: "bool", "dyn". */
  readonly type: string;
  /** Throws {@link CelError}. Values are those of `cel-values.ts`. */
  evaluate(variables: CelVariables, budget?: CelBudget): unknown;
}

/** Compiles expressions over some variables, all of whose types are found out when they run. */
export class CelCompiler {
  readonly #environment: Environment;

  constructor(variables: readonly string[]) {
    const library = celLibrary();
    const environment = new library.Environment({
      enableOptionalTypes: true,
      homogeneousAggregateLiterals: false,
      unlistedVariablesAreDyn: false,
      limits: LIMITS,
    });
    registerKubernetesLibrary(environment);
    for (const name of variables) environment.registerVariable(name, "dyn");
    this.#environment = environment;
  }

  /** Throws {@link CelError} for what is no expression. */
  compile(text: string): CelExpression {
    if (text.length > MAX_EXPRESSION_LENGTH) throw new CelError("expression is too long");
    try {
      return this.#compile(text);
    } catch (error) {
      throw celErrorOf(error);
    }
  }

  #compile(text: string): CelExpression {
    const parsed = this.#environment.parse(text);
    const checked = parsed.check();
    if (!checked.valid) throw celErrorOf(checked.error);
    const meter: Meter = { budget: undefined };
    meterNodes(parsed.ast, meter);
    return {
      text,
      type: checked.type ?? "dyn",
      evaluate: (variables, budget = new CelBudget()) => {
        const outer = meter.budget;
        meter.budget = budget;
        try {
          const value: unknown = parsed({ ...variables });
          // A quantifier passes over the errors of single items: the end of the budget is none.
          budget.spend(0);
          return value;
        } catch (error) {
          throw celErrorOf(error);
        } finally {
          meter.budget = outer;
        }
      },
    };
  }
}

interface Meter {
  budget: CelBudget | undefined;
}

type Evaluate = (evaluator: Evaluator, node: unknown, context: unknown) => unknown;

interface Evaluator {
  run(node: unknown, context: unknown): unknown;
}

/** What of a node of the syntax tree counts here. */
interface SyntaxNode {
  readonly op?: unknown;
  readonly args?: unknown;
  readonly meta: {
    evaluate: Evaluate;
    readonly alternate?: unknown;
    readonly macro?: { evaluate: Evaluate };
  };
}

/** Makes every node of an expression's tree count its evaluations, those in macros included. */
function meterNodes(root: unknown, meter: Meter): void {
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (isSyntaxNode(value)) {
      const { meta } = value;
      meta.evaluate = metered(linearMatches(value) ?? meta.evaluate, meter);
      if (meta.macro !== undefined) {
        meta.macro.evaluate = metered(meta.macro.evaluate, meter);
        visit(meta.macro);
      }
      visit(meta.alternate);
      visit(value.args);
    } else if (isPlain(value)) for (const child of Object.values(value)) visit(child);
  };
  visit(root);
}

function isSyntaxNode(value: object): value is SyntaxNode {
  const meta: unknown = "meta" in value && "op" in value ? value.meta : undefined;
  return typeof meta === "object" && meta !== null && "evaluate" in meta;
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function metered(evaluate: Evaluate, meter: Meter): Evaluate {
  return (evaluator, node, context) => {
    meter.budget?.spend(1);
    const value = evaluate(evaluator, node, context);
    const size = typeof value === "string" || Array.isArray(value) ? value.length : 0;
    if (size > MAX_VALUE_SIZE) throw new CelBudgetError("a value has become too large");
    if (size > SIZE_OF_STEP) meter.budget?.spend(Math.floor(size / SIZE_OF_STEP));
    return value;
  };
}

/** The evaluator's own `matches` backtracks: it is done here instead. */
function linearMatches({ op, args }: SyntaxNode): Evaluate | undefined {
  if (op !== "rcall" || !Array.isArray(args) || args[0] !== "matches") return undefined;
  const [, receiver, given] = args as [string, unknown, readonly unknown[]];
  const known = new Map<string, LinearPattern>();
  return (evaluator, _node, context) => {
    const text = evaluator.run(receiver, context);
    const source = evaluator.run(given[0], context);
    if (typeof text !== "string" || typeof source !== "string") {
      throw new CelError("no such overload: matches");
    }
    const pattern = known.get(source) ?? patternOf(source);
    if (known.size === 0) known.set(source, pattern);
    return pattern.test(text);
  };
}

function patternOf(source: string): LinearPattern {
  try {
    return new LinearPattern(source);
  } catch (error) {
    throw error instanceof PatternError ? new CelError(error.message) : error;
  }
}
