import { getField, isJsonObject, jsonEquals } from "./json-value.ts";

/** One step of a path into an object. */
type Step =
  | { readonly type: "field"; readonly name: string }
  | { readonly type: "index"; readonly index: number }
  | { readonly type: "slice"; readonly from: number; readonly to: number }
  | { readonly type: "all" }
  | { readonly type: "filter"; readonly left: readonly Step[]; readonly test: FilterTest };

type FilterTest =
  | { readonly operator: "exists" }
  | { readonly operator: Comparison; readonly value: unknown };

type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** A path that is no JSONPath; the message says where it stops making sense. */
export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

export const MAX_JSON_PATH_LENGTH = 4096;
/** Values that one path gives at most: filters and wildcards may be nested. */
const MAX_RESULTS = 10_000;

/**
 * The simple JSONPath of printer columns: ".spec.replicas", ".status.conditions[?(@.type ==
 * 'Ready')].status", ".metadata.labels['app\\.kubernetes\\.io/name']", ".spec.ports[0:2]",
 * ".spec.ports[*].port". Recursive descent ("..") is not part of it.
 */
export class JsonPath {
  readonly #steps: readonly Step[];

  private constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** Throws {@link JsonPathError}. */
  static parse(text: string): JsonPath {
    if (text.length > MAX_JSON_PATH_LENGTH) throw new JsonPathError("path is too long");
    const parser = new Parser(text);
    const steps = parser.steps(() => parser.atEnd);
    return new JsonPath(steps);
  }

  /** Everything the path leads to; empty where something on the way is missing. */
  find(value: unknown): readonly unknown[] {
    return follow(this.#steps, value);
  }

  /** The names of a path that is made of fields only; undefined for any other. */
  get fieldNames(): readonly string[] | undefined {
    const names: string[] = [];
    for (const step of this.#steps) {
      if (step.type !== "field") return undefined;
      names.push(step.name);
    }
    return names;
  }
}

function follow(steps: readonly Step[], value: unknown): unknown[] {
  let values: unknown[] = [value];
  for (const step of steps) {
    const next: unknown[] = [];
    for (const one of values) {
      for (const found of take(step, one)) {
        if (next.length >= MAX_RESULTS) break;
        next.push(found);
      }
    }
    values = next;
  }
  return values;
}

function take(step: Step, value: unknown): readonly unknown[] {
  switch (step.type) {
    case "field": {
      const child = isJsonObject(value) ? getField(value, step.name) : undefined;
      return child === undefined ? [] : [child];
    }
    case "index": {
      const child: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return child === undefined ? [] : [child];
    }
    case "slice":
      return Array.isArray(value) ? value.slice(step.from, step.to) : [];
    case "all":
      if (Array.isArray(value)) return value;
      return isJsonObject(value) ? Object.values(value) : [];
    case "filter":
      return Array.isArray(value) ? value.filter((item) => passes(step.left, step.test, item)) : [];
  }
}

function passes(left: readonly Step[], test: FilterTest, item: unknown): boolean {
  const [found] = follow(left, item);
  if (test.operator === "exists") return found !== undefined;
  if (found === undefined) return false;
  if (test.operator === "==") return jsonEquals(found, test.value);
  if (test.operator === "!=") return !jsonEquals(found, test.value);
  return ordered(test.operator, found, test.value);
}

function ordered(operator: Exclude<Comparison, "==" | "!=">, a: unknown, b: unknown): boolean {
  const numbers = typeof a === "number" && typeof b === "number";
  if (!numbers && !(typeof a === "string" && typeof b === "string")) return false;
  switch (operator) {
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
}

const NAME = /^(?:\\.|[^.[\]\s\\=<>!()'"])+/;
const FILTER_END = /^\s*\)\s*\]/;
const COMPARISON = /^\s*(==|!=|<=|>=|<|>)\s*/;
const STRING = /^(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)")/;
const NUMBER = /^-?\d+(?:\.\d+)?/;
const RANGE = /^(-?\d+)?\s*:\s*(-?\d+)?\s*\]/;
const INDEX = /^(-?\d+)\s*\]/;

class Parser {
  #rest: string;

  constructor(text: string) {
    this.#rest = text.trim();
  }

  get atEnd(): boolean {
    return this.#rest === "";
  }

  steps(isEnd: () => boolean): Step[] {
    const steps: Step[] = [];
    while (!isEnd()) {
      if (this.#eat("..")) throw new JsonPathError("recursive descent is not supported");
      if (this.#eat("[")) steps.push(this.#bracket());
      else if (this.#eat(".")) {
        // A lone dot is the object itself.
        if (this.atEnd && steps.length === 0) return steps;
        if (this.#eat("[")) steps.push(this.#bracket());
        else steps.push(this.#eat("*") ? { type: "all" } : this.#name());
      } else throw this.#unexpected();
    }
    return steps;
  }

  #name(): Step {
    const [text] = this.#match(NAME) ?? [];
    if (text === undefined) throw this.#unexpected();
    return { type: "field", name: text.replace(/\\(.)/g, "$1") };
  }

  #bracket(): Step {
    if (this.#eat("*]")) return { type: "all" };
    if (this.#eat("?(")) return this.#filter();
    const range = this.#match(RANGE);
    if (range !== undefined) {
      const [, from = "0", to] = range;
      return { type: "slice", from: Number(from), to: to === undefined ? Infinity : Number(to) };
    }
    const index = this.#match(INDEX);
    if (index !== undefined) return { type: "index", index: Number(index[1]) };
    const text = this.#string();
    if (text === undefined || !this.#eat("]")) throw this.#unexpected();
    return { type: "field", name: text };
  }

  #filter(): Step {
    if (!this.#eat("@")) throw this.#unexpected();
    const isDone = (): boolean => FILTER_END.test(this.#rest) || COMPARISON.test(this.#rest);
    const left = this.steps(() => this.atEnd || isDone());
    const compared = this.#match(COMPARISON);
    const test: FilterTest =
      compared === undefined
        ? { operator: "exists" }
        : { operator: compared[1] as Comparison, value: this.#literal() };
    if (this.#match(FILTER_END) === undefined) throw this.#unexpected();
    return { type: "filter", left, test };
  }

  #literal(): unknown {
    const text = this.#string();
    if (text !== undefined) return text;
    const number = this.#match(NUMBER);
    if (number !== undefined) return Number(number[0]);
    if (this.#eat("true")) return true;
    if (this.#eat("false")) return false;
    throw this.#unexpected();
  }

  #string(): string | undefined {
    const found = this.#match(STRING);
    return found === undefined ? undefined : (found[1] ?? found[2] ?? "").replace(/\\(.)/g, "$1");
  }

  #eat(token: string): boolean {
    if (!this.#rest.startsWith(token)) return false;
    this.#rest = this.#rest.slice(token.length);
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    const found = pattern.exec(this.#rest);
    if (found === null) return undefined;
    this.#rest = this.#rest.slice(found[0].length);
    return found;
  }

  #unexpected(): JsonPathError {
    return new JsonPathError(
      this.atEnd ? "unexpected end of path" : `unrecognized character at ${this.#rest}`,
    );
  }
}
