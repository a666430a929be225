import { HEADER_BYTES, Reader, SECTION, sectionsOf, type Section } from "./wasm-binary.ts";

/** Bits of a memory type's flags. */
const HAS_MAXIMUM = 1;
const SHARED = 2;
const KINDS = ["function", "table", "memory", "global", "tag"] as const;
const decoder = new TextDecoder();

export interface ModuleImport {
  readonly module: string;
  readonly name: string;
  readonly kind: (typeof KINDS)[number];
  /** Of a memory: threads may share it. */
  readonly shared: boolean;
}

/** Whether the bytes begin as a core module does; a component does not. */
export function isCoreModule(bytes: Uint8Array): boolean {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return header.every((byte, index) => bytes[index] === byte);
}

/**
 * What a core module imports, known before it is compiled. An import of an unknown kind ends the
 * list, because what follows cannot be found. Throws ModuleRefused for a module that is cut short.
 */
export function importsOf(bytes: Uint8Array): ModuleImport[] {
  const section = sectionsOf(bytes).find(({ id }) => id === SECTION.import);
  if (section === undefined) return [];
  const reader = new Reader(bytes, section.body, section.end);
  const imports: ModuleImport[] = [];
  for (let left = reader.leb(); left > 0; left--) {
    const module = readName(bytes, reader);
    const name = readName(bytes, reader);
    const kind = KINDS[reader.byte()];
    if (kind === undefined) break;
    imports.push({ module, name, kind, shared: readType(reader, kind) });
  }
  return imports;
}

/** Whether a memory of the module's own is shared. */
export function hasSharedMemory(bytes: Uint8Array): boolean {
  const section = sectionsOf(bytes).find(({ id }) => id === SECTION.memory);
  if (section === undefined) return false;
  const reader = new Reader(bytes, section.body, section.end);
  return reader.leb() > 0 && (reader.byte() & SHARED) !== 0;
}

/** The offset in the module of the body of each function, by its index. */
export function functionOffsets(bytes: Uint8Array): (index: number) => number | undefined {
  const imported = importsOf(bytes).filter(({ kind }) => kind === "function").length;
  const offsets = bodyOffsets(
    bytes,
    sectionsOf(bytes).find(({ id }) => id === SECTION.code),
  );
  return (index) => offsets[index - imported];
}

function bodyOffsets(bytes: Uint8Array, section: Section | undefined): number[] {
  if (section === undefined || section.body < HEADER_BYTES) return [];
  const reader = new Reader(bytes, section.body, section.end);
  return Array.from({ length: Math.min(reader.leb(), section.end - section.body) }, () => {
    const length = reader.leb();
    const offset = reader.position;
    reader.skip(length);
    return offset;
  });
}

function readName(bytes: Uint8Array, reader: Reader): string {
  const length = reader.leb();
  const start = reader.position;
  reader.skip(length);
  return decoder.decode(bytes.subarray(start, reader.position));
}

/** Skips the type; tells whether it is a shared memory. */
function readType(reader: Reader, kind: ModuleImport["kind"]): boolean {
  if (kind === "function") reader.leb();
  else if (kind === "global") reader.skip(2);
  else if (kind === "tag") {
    reader.byte();
    reader.leb();
  } else {
    if (kind === "table") reader.byte();
    const flags = reader.byte();
    reader.leb();
    if (flags & HAS_MAXIMUM) reader.leb();
    return kind === "memory" && (flags & SHARED) !== 0;
  }
  return false;
}
