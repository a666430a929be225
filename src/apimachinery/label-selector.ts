import { goQuote } from "./go-text.ts";
import type { MetaLabelSelector } from "./meta.ts";
import { validateLabelValue, validateQualifiedName } from "./names.ts";
import { badRequest } from "./status-error.ts";

export type LabelOperator = "=" | "!=" | "in" | "notin" | "exists" | "!" | "gt" | "lt";

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** One value for =, !=, gt and lt; at least one for in and notin; none for exists and !. */
  readonly values: readonly string[];
}

/** All requirements must hold; "nothing" is the selector of an object that has none. */
export type LabelSelector =
  | { readonly kind: "requirements"; readonly requirements: readonly LabelRequirement[] }
  | { readonly kind: "nothing" };

export type Labels = Readonly<Record<string, string>>;

/** The selector that no object matches. */
const NOTHING: LabelSelector = { kind: "nothing" };

const MAX_SELECTOR_LENGTH = 65_536;

/** A label selector as in `kubectl get -l`; throws 400 when it cannot be understood. */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.length > MAX_SELECTOR_LENGTH) {
    throw badRequest(`label selector is longer than ${MAX_SELECTOR_LENGTH} characters`);
  }
  const requirements = new SelectorParser(tokenize(text)).parse();
  return { kind: "requirements", requirements: sortByKey(requirements) };
}

export function matchesLabels(selector: LabelSelector, labels: Labels | undefined): boolean {
  if (selector.kind === "nothing") return false;
  return selector.requirements.every((requirement) => matchesRequirement(requirement, labels));
}

const META_OPERATORS: ReadonlyMap<string, LabelOperator> = new Map([
  ["In", "in"],
  ["NotIn", "notin"],
  ["Exists", "exists"],
  ["DoesNotExist", "!"],
]);

/**
 * The matcher of an object's selector. A missing one matches nothing and an empty one everything,
 * as in Kubernetes. Throws 400 on an unknown operator.
 */
export function labelSelectorFrom(selector: MetaLabelSelector | undefined): LabelSelector {
  if (selector === undefined) return NOTHING;
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) => ({ key, operator: "=", values: [value] }),
  );
  for (const { key, operator: name, values = [] } of selector.matchExpressions ?? []) {
    const operator = META_OPERATORS.get(name);
    if (operator === undefined) {
      throw badRequest(`${goQuote(name)} is not a valid label selector operator`);
    }
    requirements.push(checked({ key, operator, values }));
  }
  return { kind: "requirements", requirements: sortByKey(requirements) };
}

/** A selector over an exact set of labels, as Services and ReplicationControllers have it. */
export function labelSelectorOfSet(labels: Labels): LabelSelector {
  return labelSelectorFrom({ matchLabels: labels });
}

/** The text that {@link parseLabelSelector} reads: "app=x,tier in (a,b),!legacy". */
export function labelSelectorText(selector: LabelSelector): string {
  return selector.kind === "nothing" ? "" : selector.requirements.map(requirementText).join(",");
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "=":
    case "!=":
      return `${key}${operator}${values[0]}`;
    case "gt":
      return `${key}>${values[0]}`;
    case "lt":
      return `${key}<${values[0]}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${values.toSorted().join(",")})`;
    case "exists":
      return key;
    case "!":
      return `!${key}`;
  }
}

function matchesRequirement(requirement: LabelRequirement, labels: Labels | undefined): boolean {
  const { key, values } = requirement;
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (requirement.operator) {
    case "=":
    case "in":
      return value !== undefined && values.includes(value);
    case "!=":
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      if (value === undefined || !INTEGER.test(value)) return false;
      const difference = BigInt(value) - BigInt(values[0] ?? "0");
      return requirement.operator === "gt" ? difference > 0n : difference < 0n;
    }
  }
}

function sortByKey(requirements: readonly LabelRequirement[]): LabelRequirement[] {
  return requirements.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
}

const INTEGER = /^-?[0-9]{1,19}$/;

function checked(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement;
  const keyErrors = validateQualifiedName(key);
  if (keyErrors.length > 0) {
    throw badRequest(`key: Invalid value: ${goQuote(key)}: ${keyErrors.join("; ")}`);
  }
  if ((operator === "in" || operator === "notin") && values.length === 0) {
    throw badRequest(
      "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
  }
  for (const [index, value] of values.entries()) {
    if ((operator === "gt" || operator === "lt") && !INTEGER.test(value)) {
      const why = "for 'Gt', 'Lt' operators, the value must be an integer";
      throw badRequest(`values[${index}]: Invalid value: ${goQuote(value)}: ${why}`);
    }
    const errors = validateLabelValue(value);
    if (errors.length > 0) {
      const where = `values[${index}][${key}]`;
      throw badRequest(`${where}: Invalid value: ${goQuote(value)}: ${errors.join("; ")}`);
    }
  }
  return requirement;
}

type TokenKind = "(" | ")" | "," | "!" | "=" | "==" | "!=" | ">" | "<" | "word" | "end";

interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const TOKEN = /\s*(==|!=|[(),!=<>]|[^\s(),!=<>]+)/gy;
const END: Token = { kind: "end", text: "" };

function tokenize(text: string): Token[] {
  return [...text.matchAll(TOKEN)].map((match) => {
    const token = match[1] ?? "";
    const isSymbol = /^[(),!=<>]/.test(token);
    return { kind: isSymbol ? (token as TokenKind) : "word", text: token };
  });
}

const OPERATORS: ReadonlyMap<string, LabelOperator> = new Map([
  ["in", "in"],
  ["notin", "notin"],
  ["=", "="],
  ["==", "="],
  ["!=", "!="],
  [">", "gt"],
  ["<", "lt"],
]);

/** Recursive descent over `requirement ("," requirement)*`. */
class SelectorParser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    if (this.#peek().kind === "end") return requirements;
    const first = this.#peek();
    if (first.kind !== "word" && first.kind !== "!") {
      throw expected(first, "!, identifier, or 'end of string'");
    }
    for (;;) {
      requirements.push(this.#requirement());
      const separator = this.#next();
      if (separator.kind === "end") return requirements;
      if (separator.kind !== ",") throw expected(separator, "',' or 'end of string'");
      const following = this.#peek();
      if (following.kind !== "word" && following.kind !== "!") {
        throw expected(following, "identifier after ','");
      }
    }
  }

  #requirement(): LabelRequirement {
    const isAbsence = this.#peek().kind === "!";
    if (isAbsence) this.#next();
    const name = this.#next();
    if (name.kind !== "word") throw unparsable(`found '${name.text}', expected: identifier`);
    const key = name.text;
    if (isAbsence) return checked({ key, operator: "!", values: [] });
    const ahead = this.#peek().kind;
    if (ahead === "end" || ahead === ",") return checked({ key, operator: "exists", values: [] });
    const token = this.#next();
    const operator = OPERATORS.get(token.text);
    if (operator === undefined) {
      throw unparsable(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
    const values = operator === "in" || operator === "notin" ? this.#set() : [this.#value()];
    return checked({ key, operator, values });
  }

  #set(): string[] {
    const open = this.#next();
    if (open.kind !== "(") throw unparsable(`found '${open.text}' expected: '('`);
    const values = [this.#value()];
    for (;;) {
      const token = this.#next();
      if (token.kind === ")") return [...new Set(values)];
      if (token.kind !== ",") throw unparsable(`found '${token.text}', expected: ',' or ')'`);
      values.push(this.#value());
    }
  }

  /** A value may be empty: "key=" and "key in (a,)" are well formed. */
  #value(): string {
    const token = this.#peek();
    if (token.kind === "end" || token.kind === "," || token.kind === ")") return "";
    this.#next();
    if (token.kind !== "word") throw unparsable(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? END;
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }
}

function expected(token: Token, what: string): Error {
  return badRequest(`found '${token.text}', expected: ${what}`);
}

function unparsable(why: string): Error {
  return badRequest(`unable to parse requirement: ${why}`);
}
