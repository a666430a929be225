import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { findJsonProblem } from "./json-scanner.ts";

const SEED_TEXT =
  '{"a":[1,-2.5e+3,0,"x\\n\\u00e9\\"",true,false,null,{}],"b":{"c":[],"d":" é\\\\"},"":{}}';
const ALPHABET = '{}[]:,"\\ \n\t-+.eE0123truefalsn\u0001\u007fé';

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    return !(error instanceof SyntaxError);
  }
}

describe("findJsonProblem", () => {
  test("findJsonProblem: accepts exactly what the native parser accepts", () => {
    const random = new SeededRandom(7);
    for (let round = 0; round < 5000; round++) {
      let text = SEED_TEXT;
      for (let edits = randomInteger(random, 3) + 1; edits > 0; edits--) {
        const at = randomInteger(random, text.length);
        const removed = randomInteger(random, 3);
        const added = ALPHABET.charAt(randomInteger(random, ALPHABET.length));
        text = text.slice(0, at) + added + text.slice(at + removed);
      }
      const { syntaxError } = findJsonProblem(text);
      expect([text, syntaxError === undefined]).toEqual([text, parses(text)]);
    }
  });

  test("findJsonProblem: names a hundred duplicates at most", () => {
    const field = Array.from({ length: 300 }, (_, index) => `"k${index % 150}":0`).join(",");
    expect(findJsonProblem(`{${field}}`).duplicates).toHaveLength(100);
  });
});
