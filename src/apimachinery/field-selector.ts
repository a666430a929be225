import { badRequest } from "./status-error.ts";

export interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

/** All requirements must hold. */
export type FieldSelector = readonly FieldRequirement[];

const MAX_SELECTOR_LENGTH = 65_536;

/** "metadata.name=x,status.phase!=Running"; throws 400 when it cannot be understood. */
export function parseFieldSelector(text: string): FieldSelector {
  if (text.length > MAX_SELECTOR_LENGTH) {
    throw badRequest(`field selector is longer than ${MAX_SELECTOR_LENGTH} characters`);
  }
  return splitTerms(text)
    .filter((term) => term !== "")
    .map((term) => parseTerm(term, text));
}

/** A field the object does not have counts as empty, as in Kubernetes. */
export function matchesFields(
  selector: FieldSelector,
  fields: Readonly<Record<string, string>>,
): boolean {
  return selector.every(({ field, operator, value }) => {
    const actual = Object.hasOwn(fields, field) ? fields[field] : "";
    return (actual === value) === (operator === "=");
  });
}

/** The value this selector demands for a field: lets a list by name become a get. */
export function exactFieldValue(selector: FieldSelector, field: string): string | undefined {
  return selector.find((term) => term.field === field && term.operator === "=")?.value;
}

/** Splits at commas that no backslash precedes; escapes stay for {@link unescapeValue}. */
function splitTerms(text: string): string[] {
  return text.match(/(?:[^\\,]|\\[\s\S]?)+/g) ?? [];
}

function parseTerm(term: string, whole: string): FieldRequirement {
  const match = /^((?:[^\\=!]|\\[\s\S]|!(?!=))*?)(!=|==|=)([\s\S]*)$/.exec(term);
  if (match === null) {
    throw badRequest(`invalid selector: '${whole}'; can't understand '${term}'`);
  }
  const [, field = "", operator, value = ""] = match;
  return { field, operator: operator === "!=" ? "!=" : "=", value: unescapeValue(value) };
}

function unescapeValue(text: string): string {
  let value = "";
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === "=") {
      throw badRequest(`invalid field selector: unescaped character in value: ${character}`);
    }
    if (character !== "\\") {
      value += character;
      continue;
    }
    index++;
    const escaped = text.charAt(index);
    if (!["\\", ",", "="].includes(escaped)) {
      throw badRequest(`invalid field selector: invalid escape sequence: \\${escaped}`);
    }
    value += escaped;
  }
  return value;
}
