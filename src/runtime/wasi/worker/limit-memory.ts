import { HEADER_BYTES, leb, ModuleRefused, Reader, SECTION, sectionsOf } from "./wasm-binary.ts";
import type { Section } from "./wasm-binary.ts";

export const PAGE_BYTES = 65_536;
const CORE_VERSION = 1;
const IMPORT_MEMORY = 2;
/** Bits of a memory type's flags (core specification 5.3.8, threads, memory64). */
const HAS_MAXIMUM = 1;
const SHARED = 2;
const MEMORY64 = 4;

interface MemoryType {
  readonly minimumPages: number;
  readonly maximumPages: number | undefined;
}

export interface LimitedModule {
  readonly bytes: Uint8Array;
  /** Pages all memories may reach together; `undefined` when nothing bounds them. */
  readonly maximumPages: number | undefined;
}

export interface LimitOptions {
  /** Part of a component: who defines the memory bounds it. Refused otherwise. */
  readonly importedMemory?: "allowed";
}

/**
 * The module with its memory section rewritten, so that its memories together cannot grow beyond
 * the limit. Throws {@link ModuleRefused} for what is no core module, for memories that are
 * imported, shared or 64-bit, and for an initial size above the limit.
 *
 * Example: `(memory 17)` under a limit of 64 MiB becomes `(memory 17 1024)`.
 */
export function limitMemory(
  bytes: Uint8Array,
  limitBytes: number | undefined,
  options: LimitOptions = {},
): LimitedModule {
  checkHeader(bytes);
  const sections = sectionsOf(bytes);
  for (const section of sections) {
    if (section.id !== SECTION.import || options.importedMemory === "allowed") continue;
    refuseImportedMemory(bytes, section);
  }
  const section = sections.find(({ id }) => id === SECTION.memory);
  if (section === undefined) return { bytes, maximumPages: 0 };
  const memories = readMemories(new Reader(bytes, section.body, section.end));
  if (limitBytes === undefined) {
    return { bytes, maximumPages: sumOf(memories.map((memory) => memory.maximumPages)) };
  }
  const limited = withinLimit(memories, Math.floor(limitBytes / PAGE_BYTES), limitBytes);
  const encoded = encodeMemories(limited);
  return {
    bytes: Buffer.concat([
      bytes.subarray(0, section.start),
      Uint8Array.of(SECTION.memory, ...leb(encoded.length), ...encoded),
      bytes.subarray(section.end),
    ]),
    maximumPages: sumOf(limited.map((memory) => memory.maximumPages)),
  };
}

/** All memories share one budget: what the initial sizes leave is split among those that grow. */
function withinLimit(
  memories: readonly MemoryType[],
  limitPages: number,
  limitBytes: number,
): MemoryType[] {
  const initial = memories.reduce((sum, memory) => sum + memory.minimumPages, 0);
  if (initial > limitPages) {
    throw new ModuleRefused(
      `the module starts with ${initial * PAGE_BYTES} bytes of memory, ` +
        `more than its memory limit of ${limitBytes} bytes`,
    );
  }
  const growing = memories.filter(
    (memory) => memory.maximumPages === undefined || memory.maximumPages > memory.minimumPages,
  ).length;
  const share = Math.floor((limitPages - initial) / Math.max(1, growing));
  return memories.map(({ minimumPages, maximumPages }) => ({
    minimumPages,
    maximumPages: Math.min(maximumPages ?? Number.MAX_SAFE_INTEGER, minimumPages + share),
  }));
}

function checkHeader(bytes: Uint8Array): void {
  const magic = bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
  if (!magic || bytes.length < HEADER_BYTES) {
    throw new ModuleRefused("the image's file is no WebAssembly: its first bytes are not \\0asm");
  }
  const version = (bytes[4] ?? 0) | ((bytes[5] ?? 0) << 8);
  const layer = (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8);
  if (layer === 1) {
    throw new ModuleRefused("the image is a component (WASI preview 2); this runs core modules");
  }
  if (version !== CORE_VERSION || layer !== 0) {
    throw new ModuleRefused(`WebAssembly version ${version} is unknown; want ${CORE_VERSION}`);
  }
}

function refuseImportedMemory(bytes: Uint8Array, section: Section): void {
  const reader = new Reader(bytes, section.body, section.end);
  const count = reader.leb();
  for (let index = 0; index < count; index++) {
    reader.skip(reader.leb());
    reader.skip(reader.leb());
    const kind = reader.byte();
    if (kind === IMPORT_MEMORY) {
      throw new ModuleRefused("the module imports its memory, as threads do; not supported");
    }
    skipImportType(reader, kind);
  }
}

function skipImportType(reader: Reader, kind: number): void {
  if (kind === 0) reader.leb();
  else if (kind === 1) {
    reader.byte();
    readMemory(reader);
  } else if (kind === 3) reader.skip(2);
  else if (kind === 4) {
    reader.byte();
    reader.leb();
  } else throw new ModuleRefused(`the module has an import of the unknown kind ${kind}`);
}

function readMemories(reader: Reader): MemoryType[] {
  return Array.from({ length: reader.leb() }, () => readMemory(reader));
}

function readMemory(reader: Reader): MemoryType {
  const flags = reader.byte();
  if (flags & SHARED) throw new ModuleRefused("shared memory (threads) is not supported");
  if (flags & MEMORY64) throw new ModuleRefused("64-bit memory is not supported");
  if (flags & ~HAS_MAXIMUM) throw new ModuleRefused(`memory flags ${flags} are not supported`);
  const minimumPages = reader.leb();
  return { minimumPages, maximumPages: flags & HAS_MAXIMUM ? reader.leb() : undefined };
}

function encodeMemories(memories: readonly MemoryType[]): number[] {
  return [
    ...leb(memories.length),
    ...memories.flatMap(({ minimumPages, maximumPages }) =>
      maximumPages === undefined
        ? [0, ...leb(minimumPages)]
        : [HAS_MAXIMUM, ...leb(minimumPages), ...leb(maximumPages)],
    ),
  ];
}

function sumOf(pages: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const count of pages) {
    if (count === undefined) return undefined;
    sum += count;
  }
  return sum;
}
