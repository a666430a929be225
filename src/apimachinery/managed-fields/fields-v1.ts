/**
 * A set of paths into an object, in the form in which `metadata.managedFields` carries it
 * (FieldsV1): a trie whose keys are path elements.
 *
 *     { "f:metadata": { "f:labels": { ".": {}, "f:app": {} } } }
 *
 * holds `.metadata.labels` (its "." says so) and `.metadata.labels.app` (a leaf is held itself),
 * and does not hold `.metadata`. Elements are `f:NAME` for fields and keys of maps, `k:{…}` for
 * items of a list by their key fields, `v:…` for items of a set and `i:N` for items by index.
 * Sets are never changed once made, so that they may share their branches.
 */
export interface FieldsV1 {
  readonly [element: string]: FieldsV1;
}

/** The element that says that the path which leads to a node is itself in the set. */
export const SELF = ".";
export const LEAF: FieldsV1 = Object.freeze({});
export const NO_FIELDS: FieldsV1 = LEAF;

/** Whether the path that leads to a node is in the set; a node without children always is. */
export function isMember(node: FieldsV1): boolean {
  if (SELF in node) return true;
  for (const _element in node) return false;
  return true;
}

/** Whether a set, as a whole, holds nothing. */
export function holdsNothing(set: FieldsV1): boolean {
  for (const element in set) if (element !== SELF) return false;
  return true;
}

/** The node under an element; undefined when nothing there is in the set. */
export function childOf(set: FieldsV1, element: string): FieldsV1 | undefined {
  return element !== SELF && Object.hasOwn(set, element) ? set[element] : undefined;
}

/** What is in `a` and not in `b`; `a` itself when nothing of it is in `b`. */
export function difference(a: FieldsV1, b: FieldsV1): FieldsV1 {
  let result: Record<string, FieldsV1> | undefined;
  for (const element in b) {
    const mine = childOf(a, element);
    const theirs = childOf(b, element);
    if (mine === undefined || theirs === undefined) continue;
    const left = nodeDifference(mine, theirs);
    if (left === mine) continue;
    result ??= { ...a };
    if (left === undefined) delete result[element];
    else result[element] = left;
  }
  return result ?? a;
}

function nodeDifference(a: FieldsV1, b: FieldsV1): FieldsV1 | undefined {
  const children = difference(a, b);
  const wasMember = isMember(a);
  const staysMember = wasMember && !isMember(b);
  if (children === a && staysMember === wasMember) return a;
  return nodeOf(children, staysMember);
}

/** What is in both. */
export function intersection(a: FieldsV1, b: FieldsV1): FieldsV1 {
  const result: Record<string, FieldsV1> = {};
  for (const element in b) {
    const mine = childOf(a, element);
    const theirs = childOf(b, element);
    if (mine === undefined || theirs === undefined) continue;
    const both = nodeOf(intersection(mine, theirs), isMember(mine) && isMember(theirs));
    if (both !== undefined) result[element] = both;
  }
  return result;
}

/** What is in one or the other, with the elements in order; `a` itself when it holds all of `b`. */
export function union(a: FieldsV1, b: FieldsV1): FieldsV1 {
  let result: Record<string, FieldsV1> | undefined;
  for (const element in b) {
    const theirs = childOf(b, element);
    if (theirs === undefined) continue;
    const mine = childOf(a, element);
    const all = mine === undefined ? theirs : nodeUnion(mine, theirs);
    if (all === mine) continue;
    result ??= { ...a };
    result[element] = all;
  }
  return result === undefined ? a : inOrder(result);
}

function nodeUnion(a: FieldsV1, b: FieldsV1): FieldsV1 {
  const children = union(a, b);
  const member = isMember(a) || isMember(b);
  if (children === a && member === isMember(a)) return a;
  return nodeOf(children, member) ?? LEAF;
}

/** A node with the children of another, itself in the set or not; undefined for an empty one. */
export function nodeOf(children: FieldsV1, member: boolean): FieldsV1 | undefined {
  if (holdsNothing(children)) return member ? LEAF : undefined;
  if (member === SELF in children) return children;
  if (member) return { [SELF]: LEAF, ...children };
  const { [SELF]: _self, ...others } = children;
  return others;
}

/** "." first, then by kind and text; the set itself when it is in order already. */
export function inOrder(set: FieldsV1): FieldsV1 {
  let previous = "";
  for (const element in set) {
    if (element < previous) return sorted(set);
    previous = element;
  }
  return set;
}

function sorted(set: FieldsV1): FieldsV1 {
  const elements = Object.keys(set).sort();
  return Object.fromEntries(elements.map((element) => [element, set[element] ?? LEAF]));
}

/** Whether two sets hold the same, in whatever order. */
export function sameFields(a: FieldsV1, b: FieldsV1): boolean {
  return holdsNothing(difference(a, b)) && holdsNothing(difference(b, a));
}

/** The paths of a set as messages have them: `.spec.containers[name="app"].image`. */
export function pathsOf(set: FieldsV1, prefix = ""): string[] {
  const paths: string[] = [];
  for (const element of Object.keys(inOrder(set))) {
    const node = childOf(set, element);
    if (node === undefined) continue;
    const path = prefix + elementText(element);
    if (isMember(node)) paths.push(path);
    paths.push(...pathsOf(node, path));
  }
  return paths;
}

/** One path element as messages have it. */
export function elementText(element: string): string {
  const value = element.slice(2);
  switch (element.charAt(0)) {
    case "f":
      return `.${value}`;
    case "k": {
      const fields = Object.entries(JSON.parse(value) as Record<string, unknown>);
      return `[${fields.map(([name, field]) => `${name}=${JSON.stringify(field)}`).join(",")}]`;
    }
    case "v":
      return `[=${value}]`;
    default:
      return `[${value}]`;
  }
}

/** Nesting beyond this is no path into any object. */
const MAX_FIELDS_DEPTH = 400;

/** Reads what a client sent as FieldsV1; undefined for what is none. */
export function readFieldsV1(value: unknown, depth = 0): FieldsV1 | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  if (depth > MAX_FIELDS_DEPTH) return undefined;
  for (const [element, node] of Object.entries(value)) {
    if (element !== SELF && !isElement(element)) return undefined;
    if (readFieldsV1(node, depth + 1) === undefined) return undefined;
  }
  return value as FieldsV1;
}

function isElement(element: string): boolean {
  const value = element.slice(2);
  switch (element.slice(0, 2)) {
    case "f:":
      return true;
    case "i:":
      return /^-?\d+$/.test(value);
    case "k:":
      return isJsonText(value, (key) => typeof key === "object" && key !== null);
    case "v:":
      return isJsonText(value, () => true);
    default:
      return false;
  }
}

function isJsonText(text: string, accepts: (value: unknown) => boolean): boolean {
  try {
    return accepts(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
