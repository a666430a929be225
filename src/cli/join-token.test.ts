import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { bearerOf, formatJoinToken, parseJoinToken } from "./join-token.ts";
import type { JoinToken } from "./join-token.ts";

const HEX = "0123456789abcdef";
const ALPHANUMERIC = "0123456789abcdefghijklmnopqrstuvwxyz";
const ROUNDS = 500;

function word(random: SeededRandom, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[randomInteger(random, alphabet.length)]).join("");
}

function anyToken(random: SeededRandom): JoinToken {
  return {
    caHash: word(random, HEX, 32),
    id: word(random, ALPHANUMERIC, 6),
    secret: word(random, ALPHANUMERIC, 16),
  };
}

describe("parseJoinToken", () => {
  test("parseJoinToken reads back every token that was formatted", () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < ROUNDS; round++) {
      const token = anyToken(random);
      expect(parseJoinToken(formatJoinToken(token))).toEqual(token);
      expect(bearerOf(token)).toBe(`${token.id}.${token.secret}`);
    }
  });

  test("parseJoinToken refuses a token with one character more, less or of another kind", () => {
    const random = new SeededRandom(2);
    for (let round = 0; round < ROUNDS; round++) {
      const text = formatJoinToken(anyToken(random));
      const at = randomInteger(random, text.length + 1);
      const [before, after] = [text.slice(0, at), text.slice(at)];
      expect(parseJoinToken(`${before}${after.slice(1)}`) !== undefined).toBe(after === "");
      expect(parseJoinToken(`${before}0${after}`)).toBeUndefined();
      for (const stray of ["A", "-", " ", "\n", "\0", "é"]) {
        expect(parseJoinToken(`${before}${stray}${after.slice(1)}`)).toBeUndefined();
      }
    }
  });

  test("parseJoinToken refuses a version it does not know", () => {
    const text = formatJoinToken(anyToken(new SeededRandom(3)));
    expect(parseJoinToken(text.replace("K1", "K2"))).toBeUndefined();
  });
});
