import { EMPTY_COMPONENT, EMPTY_MODULE } from "./image-fixtures.ts";

const INSTANCE = 5;
const FUNCTION = 0;

/** A component with these names only: it says what it imports and exports, and cannot run. */
export function componentWith(names: {
  readonly imports?: readonly string[];
  readonly exports?: readonly string[];
}): Uint8Array<ArrayBuffer> {
  const { imports = [], exports = [] } = names;
  return new Uint8Array([
    ...EMPTY_COMPONENT,
    ...section(10, list(imports.map((name) => [0, ...text(name), INSTANCE, 0]))),
    // The sort and index of what is exported, and no type of its own.
    ...section(11, list(exports.map((name) => [0, ...text(name), INSTANCE, 0, 0]))),
  ]);
}

/** A core module that imports these functions, `module.name`, and exports functions. */
export function moduleWith(names: {
  readonly imports?: readonly string[];
  readonly exports?: readonly string[];
  readonly sharedMemory?: boolean;
}): Uint8Array<ArrayBuffer> {
  const { imports = [], exports = ["_start"], sharedMemory = false } = names;
  const functions = imports.map((each) => {
    const dot = each.indexOf(".");
    return [...text(each.slice(0, dot)), ...text(each.slice(dot + 1)), FUNCTION, 0];
  });
  // Limits of the form "shared, with a maximum" of one page to two.
  const memory = sharedMemory ? [[...text("env"), ...text("memory"), 2, 3, 1, 2]] : [];
  return new Uint8Array([
    ...EMPTY_MODULE,
    ...section(2, list([...functions, ...memory])),
    ...section(7, list(exports.map((name) => [...text(name), FUNCTION, 0]))),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...number(content.length), ...content];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...number(items.length), ...items.flat()];
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...number(bytes.length), ...bytes];
}

/** Unsigned LEB128. */
function number(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)];
}
