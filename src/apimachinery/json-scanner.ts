import { pathText } from "./decode.ts";
import { goQuote } from "./go-text.ts";

export interface JsonProblems {
  /** Where the text stops being JSON, in the words of Go's decoder. */
  readonly syntaxError?: string;
  /** `duplicate field "spec.replicas"`, in the order of the text. */
  readonly duplicates: readonly string[];
}

const MAX_DUPLICATES = 100;

/**
 * A slow and careful second reading of a JSON text, done only when the native parser refused it or
 * when it is known to have a field twice. The depth must be bounded already.
 */
export function findJsonProblem(text: string): JsonProblems {
  const scanner = new Scanner(text);
  try {
    scanner.document();
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    return { syntaxError: error.message, duplicates: scanner.duplicates };
  }
  return { duplicates: scanner.duplicates };
}

class SyntaxProblem extends Error {}

const LITERALS: Readonly<Record<string, string>> = { t: "true", f: "false", n: "null" };
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const SPACE = /[ \t\r\n]*/y;
const PLAIN = /[^"\\\p{Cc}]*/uy;

class Scanner {
  readonly duplicates: string[] = [];
  readonly #text: string;
  readonly #path: (string | number)[] = [];
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value();
    this.#space();
    if (this.#position < this.#text.length) throw this.#invalid("after top-level value");
  }

  #value(): void {
    this.#space();
    const character = this.#peek();
    const literal = LITERALS[character];
    if (character === "{") this.#object();
    else if (character === "[") this.#array();
    else if (character === '"') this.#string();
    else if (literal !== undefined) this.#literal(literal);
    else if (/[-0-9]/.test(character)) this.#number();
    else throw this.#invalid("looking for beginning of value");
  }

  #object(): void {
    this.#position++;
    const seen = new Set<string>();
    this.#space();
    if (this.#accept("}")) return;
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') throw this.#invalid("looking for beginning of object key string");
      const key = this.#string();
      this.#path.push(key);
      if (seen.has(key)) this.#duplicate();
      seen.add(key);
      this.#space();
      if (!this.#accept(":")) throw this.#invalid("after object key");
      this.#value();
      this.#path.pop();
      this.#space();
      if (this.#accept("}")) return;
      if (!this.#accept(",")) throw this.#invalid("after object key:value pair");
    }
  }

  /** Each field is named once, however often it repeats. */
  #duplicate(): void {
    const complaint = `duplicate field "${pathText(this.#path)}"`;
    if (this.duplicates.length >= MAX_DUPLICATES || this.duplicates.includes(complaint)) return;
    this.duplicates.push(complaint);
  }

  #array(): void {
    this.#position++;
    this.#space();
    if (this.#accept("]")) return;
    for (let index = 0; ; index++) {
      this.#path.push(index);
      this.#value();
      this.#path.pop();
      this.#space();
      if (this.#accept("]")) return;
      if (!this.#accept(",")) throw this.#invalid("after array element");
    }
  }

  #string(): string {
    const start = this.#position++;
    for (;;) {
      this.#match(PLAIN);
      const character = this.#peek();
      this.#position++;
      if (character === '"') break;
      if (character >= "\u007f") continue;
      if (character !== "\\") {
        this.#position--;
        throw this.#invalid("in string literal");
      }
      if (!/["\\/bfnrtu]/.test(this.#peek())) throw this.#invalid("in string escape code");
      this.#position++;
      if (this.#text[this.#position - 1] !== "u") continue;
      for (let digit = 0; digit < 4; digit++, this.#position++) {
        if (!/[0-9a-fA-F]/.test(this.#peek())) {
          throw this.#invalid("in \\u hexadecimal character escape");
        }
      }
    }
    return String(JSON.parse(this.#text.slice(start, this.#position)));
  }

  #literal(literal: string): void {
    for (let index = 0; index < literal.length; index++, this.#position++) {
      const expected = literal.charAt(index);
      if (this.#peek() === expected) continue;
      throw this.#invalid(`in literal ${literal} (expecting '${expected}')`);
    }
  }

  #number(): void {
    if (!this.#match(NUMBER)) {
      this.#position++;
      throw this.#invalid("in numeric literal");
    }
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#position;
    const isMatch = pattern.test(this.#text);
    if (isMatch) this.#position = pattern.lastIndex;
    return isMatch;
  }

  #accept(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position++;
    return true;
  }

  #peek(): string {
    return this.#text.charAt(this.#position);
  }

  #invalid(context: string): SyntaxProblem {
    const codePoint = this.#text.codePointAt(this.#position);
    if (codePoint === undefined) return new SyntaxProblem("unexpected end of JSON input");
    const shown = characterText(String.fromCodePoint(codePoint));
    return new SyntaxProblem(`invalid character ${shown} ${context}`);
  }
}

/** A character in single quotes, with Go's escapes. */
function characterText(character: string): string {
  if (character === "'") return `'\\''`;
  if (character === '"') return `'"'`;
  return `'${goQuote(character).slice(1, -1)}'`;
}
