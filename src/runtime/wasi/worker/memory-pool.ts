import { leb, Reader, SECTION, sectionsOf } from "./wasm-binary.ts";

/** The module name the rewritten module imports `memory` from. */
export const POOL_MODULE = "kubun:pool";
/** Memories kept for the next instances. */
export const MAX_POOLED = 64;

const IMPORT_MEMORY = 2;
const HAS_MAXIMUM = 1;
const ENTRY = Buffer.concat([
  Uint8Array.of(POOL_MODULE.length),
  Buffer.from(POOL_MODULE),
  Uint8Array.of("memory".length),
  Buffer.from("memory"),
]);

export interface PooledMemoryType {
  readonly initial: number;
  readonly maximum?: number;
}

/**
 * The module with its one memory imported instead of defined; `undefined` for a module that has
 * none or several. Indices stay: a memory is numbered among memories only.
 */
export function importMemory(
  bytes: Uint8Array,
): { readonly bytes: Uint8Array; readonly memory: PooledMemoryType } | undefined {
  const sections = sectionsOf(bytes);
  const defined = sections.find(({ id }) => id === SECTION.memory);
  const types = sections.find(({ id }) => id === SECTION.type);
  if (defined === undefined || types === undefined) return undefined;
  const reader = new Reader(bytes, defined.body, defined.end);
  if (reader.leb() !== 1) return undefined;
  const limits = bytes.subarray(reader.position, defined.end);
  const flags = reader.byte();
  const initial = reader.leb();
  const memory = flags & HAS_MAXIMUM ? { initial, maximum: reader.leb() } : { initial };

  const imports = sections.find(({ id }) => id === SECTION.import);
  const before = new Reader(bytes, imports?.body ?? 0, imports?.end ?? bytes.length);
  const count = imports === undefined ? 0 : before.leb();
  const content = Buffer.concat([
    Uint8Array.from(leb(count + 1)),
    imports === undefined ? new Uint8Array() : bytes.subarray(before.position, imports.end),
    ENTRY,
    Uint8Array.of(IMPORT_MEMORY),
    limits,
  ]);
  const rewritten = [Uint8Array.of(SECTION.import, ...leb(content.length)), content];
  const parts: Uint8Array[] = [bytes.subarray(0, sections[0]?.start)];
  for (const section of sections) {
    if (section === imports) parts.push(...rewritten);
    else if (section !== defined) parts.push(bytes.subarray(section.start, section.end));
    if (section === types && imports === undefined) parts.push(...rewritten);
  }
  return { bytes: Buffer.concat(parts), memory };
}

/** Memories of ended instances, zeroed for the next: no request sees what another left. */
export class MemoryPool {
  readonly #type: PooledMemoryType;
  readonly #free: WebAssembly.Memory[] = [];

  constructor(type: PooledMemoryType) {
    this.#type = type;
  }

  take(): WebAssembly.Memory {
    return this.#free.pop() ?? new WebAssembly.Memory(this.#type);
  }

  /** Takes a memory back. One that grew cannot become small again: it is dropped. */
  give(memory: WebAssembly.Memory): void {
    const bytes = new Uint8Array(memory.buffer);
    const grew = bytes.length !== this.#type.initial * 65_536;
    if (grew || this.#free.length >= MAX_POOLED) return;
    bytes.fill(0);
    this.#free.push(memory);
  }
}
