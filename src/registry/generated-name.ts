import { type Random, randomInteger } from "../lib/index.ts";

/** No vowels and nothing that looks alike, so that no word comes out. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_NAME_LENGTH = 63;

/** How often a create with generateName draws again when the name is taken. */
export const MAX_NAME_DRAWS = 8;

/** `web-` → `web-x7k2p`; a long base is cut so that the name stays a DNS label. */
export function generatedName(base: string, random: Random): string {
  let suffix = "";
  for (let index = 0; index < SUFFIX_LENGTH; index++) {
    suffix += ALPHABET[randomInteger(random, ALPHABET.length)];
  }
  return base.slice(0, MAX_NAME_LENGTH - SUFFIX_LENGTH) + suffix;
}
