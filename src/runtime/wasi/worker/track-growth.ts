import { leb, Reader, SECTION, sectionsOf, type Section } from "./wasm-binary.ts";
import { skipInstruction, skipLocals } from "./wasm-instructions.ts";

/** The export that tells: a global that is 1 once a memory.grow was refused. */
export const REFUSED_GROWTH = "kubun:refused-growth";

const MEMORY_GROW = 0x40;
const CALL = 0x10;
const FUNCTION_TYPE = 0x60;
const I32 = 0x7f;
const IMPORT_FUNCTION = 0;
const IMPORT_GLOBAL = 3;

/**
 * The module with every `memory.grow` replaced by a call of a function of our own, which does the
 * same and remembers a refusal in a global. Nothing else tells that a guest ran into its limit: an
 * allocator that is refused leaves the memory as small as it was.
 *
 * Answers `undefined` for a module it cannot do that to: no function grows a memory, or something
 * is newer than this decoder. Indices of the module stay as they are, because all is appended.
 */
export function trackGrowth(bytes: Uint8Array): Uint8Array | undefined {
  const sections = sectionsOf(bytes);
  const find = (id: number) => sections.find((section) => section.id === id);
  const [types, functions, code] = [SECTION.type, SECTION.function, SECTION.code].map(find);
  const exports = find(SECTION.export);
  if (!types || !functions || !code || !exports) return undefined;
  const imports = importedCounts(bytes, find(SECTION.import));
  const globals = find(SECTION.global);
  const typeIndex = countOf(bytes, types);
  const functionIndex = imports.functions + countOf(bytes, functions);
  const globalIndex = imports.globals + (globals ? countOf(bytes, globals) : 0);
  const bodies = rewrittenBodies(bytes, code, functionIndex);
  if (bodies === undefined) return undefined;

  const name = Buffer.from(REFUSED_GROWTH);
  const replaced = new Map<Section, Uint8Array>([
    [types, appended(bytes, types, [FUNCTION_TYPE, 1, I32, 1, I32])],
    [functions, appended(bytes, functions, leb(typeIndex))],
    [exports, appended(bytes, exports, [name.length, ...name, IMPORT_GLOBAL, ...leb(globalIndex)])],
    [code, sectionOf(SECTION.code, [...bodies, growBody(globalIndex)])],
  ]);
  const global = [I32, 1, 0x41, 0, 0x0b];
  if (globals) replaced.set(globals, appended(bytes, globals, global));
  const parts: Uint8Array[] = [bytes.subarray(0, sections[0]?.start)];
  for (const section of sections) {
    if (section === exports && !globals) {
      parts.push(sectionOf(SECTION.global, [Uint8Array.from(global)]));
    }
    parts.push(replaced.get(section) ?? bytes.subarray(section.start, section.end));
  }
  return Buffer.concat(parts);
}

/** `(func (param i32) (result i32))`: grows memory 0, and sets the global when that is refused. */
function growBody(globalIndex: number): Uint8Array {
  const grow = [0, 0x20, 0, MEMORY_GROW, 0, 0x22, 0, 0x41, 0x7f, 0x46, 0x04, 0x40, 0x41, 1, 0x24];
  const body = [...grow, ...leb(globalIndex), 0x0b, 0x20, 0, 0x0b];
  return Uint8Array.from([...leb(body.length), ...body]);
}

/** The code section's entries, with calls for growths; `undefined` when there is none. */
function rewrittenBodies(
  bytes: Uint8Array,
  code: Section,
  functionIndex: number,
): Uint8Array[] | undefined {
  const reader = new Reader(bytes, code.body, code.end);
  const count = reader.leb();
  const bodies: Uint8Array[] = [];
  let found = 0;
  for (let index = 0; index < count; index++) {
    const entry = reader.position;
    const length = reader.leb();
    const start = reader.position;
    reader.skip(length);
    const growths = mayGrow(bytes, start, reader.position)
      ? growthsIn(bytes, start, reader.position)
      : [];
    if (growths === undefined) return undefined;
    found += growths.length;
    bodies.push(
      growths.length === 0
        ? bytes.subarray(entry, reader.position)
        : withCalls(bytes.subarray(start, reader.position), growths, start, functionIndex),
    );
  }
  return found === 0 ? undefined : bodies;
}

/** A look at the bytes, which is much cheaper than decoding all functions. */
function mayGrow(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = bytes.indexOf(MEMORY_GROW, start); at >= 0 && at < end - 1;) {
    if (bytes[at + 1] === 0) return true;
    at = bytes.indexOf(MEMORY_GROW, at + 1);
  }
  return false;
}

/** Where memory 0 is grown; `undefined` when the body has an instruction that is not known. */
function growthsIn(bytes: Uint8Array, start: number, end: number): number[] | undefined {
  const reader = new Reader(bytes, start, end);
  const growths: number[] = [];
  skipLocals(reader);
  while (!reader.done) {
    const at = reader.position;
    if (bytes[at] === MEMORY_GROW && bytes[at + 1] === 0) growths.push(at);
    if (!skipInstruction(reader)) return undefined;
  }
  return growths;
}

function withCalls(
  body: Uint8Array,
  growths: readonly number[],
  start: number,
  functionIndex: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const growth of growths) {
    parts.push(body.subarray(from, growth - start), Uint8Array.of(CALL, ...leb(functionIndex)));
    from = growth - start + 2;
  }
  parts.push(body.subarray(from));
  const whole = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.from(leb(whole.length)), whole]);
}

function importedCounts(
  bytes: Uint8Array,
  section: Section | undefined,
): { readonly functions: number; readonly globals: number } {
  let [functions, globals] = [0, 0];
  if (section === undefined) return { functions, globals };
  const reader = new Reader(bytes, section.body, section.end);
  for (let left = reader.leb(); left > 0; left--) {
    reader.skip(reader.leb());
    reader.skip(reader.leb());
    const kind = reader.byte();
    if (kind === IMPORT_FUNCTION) functions++;
    if (kind === IMPORT_GLOBAL) globals++;
    skipImportType(reader, kind);
  }
  return { functions, globals };
}

function skipImportType(reader: Reader, kind: number): void {
  if (kind === IMPORT_FUNCTION) reader.leb();
  else if (kind === IMPORT_GLOBAL) reader.skip(2);
  else {
    // A table has an element type before its limits, a tag an attribute before its type.
    if (kind !== 2) reader.byte();
    const flags = kind === 4 ? 0 : reader.byte();
    reader.leb();
    if (flags & 1) reader.leb();
  }
}

function countOf(bytes: Uint8Array, section: Section): number {
  return new Reader(bytes, section.body, section.end).leb();
}

/** The section with one more entry at its end. */
function appended(bytes: Uint8Array, section: Section, entry: readonly number[]): Uint8Array {
  const reader = new Reader(bytes, section.body, section.end);
  const count = reader.leb();
  const content = Buffer.concat([
    Uint8Array.from(leb(count + 1)),
    bytes.subarray(reader.position, section.end),
    Uint8Array.from(entry),
  ]);
  return Buffer.concat([Uint8Array.of(section.id, ...leb(content.length)), content]);
}

function sectionOf(id: number, entries: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat([Uint8Array.from(leb(entries.length)), ...entries]);
  return Buffer.concat([Uint8Array.of(id, ...leb(content.length)), content]);
}
