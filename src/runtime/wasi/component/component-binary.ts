export { withoutVersion } from "../../../lib/index.ts";
import { ModuleRefused, Reader, sectionsOf } from "../worker/wasm-binary.ts";

/** Names of what a component imports and exports, with versions: `wasi:io/streams@0.2.6`. */
export interface ComponentInterfaces {
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

export type WasmBinaryKind = "module" | "component" | "unknown";

/** Bytes that {@link wasmBinaryKind} looks at. */
export const BINARY_HEADER_BYTES = 8;
const MAGIC = [0x00, 0x61, 0x73, 0x6d] as const;
const MODULE_LAYER = 0;
const COMPONENT_LAYER = 1;
/** Section ids of the component binary format. */
const IMPORT_SECTION = 10;
const EXPORT_SECTION = 11;
const SORT_CORE = 0;
const EXTERN = { coreModule: 0, value: 2, type: 3 } as const;
const NAME_WITH_OPTIONS = 2;

/** What a file is, by its first bytes. */
export function wasmBinaryKind(header: Uint8Array): WasmBinaryKind {
  if (header.length < BINARY_HEADER_BYTES) return "unknown";
  if (MAGIC.some((byte, index) => header[index] !== byte)) return "unknown";
  const layer = (header[6] ?? 0) | ((header[7] ?? 0) << 8);
  if (layer === MODULE_LAYER) return "module";
  return layer === COMPONENT_LAYER ? "component" : "unknown";
}

/**
 * Reads the outermost imports and exports of a component. Throws {@link ModuleRefused} for a file
 * that is cut short or that has what this reader does not know.
 */
export function componentInterfaces(bytes: Uint8Array): ComponentInterfaces {
  const imports: string[] = [];
  const exports: string[] = [];
  for (const section of sectionsOf(bytes)) {
    const reader = new Reader(bytes, section.body, section.end);
    if (section.id === IMPORT_SECTION) {
      for (let left = reader.leb(); left > 0; left--) {
        imports.push(readName(reader, bytes));
        skipExternType(reader);
      }
    } else if (section.id === EXPORT_SECTION) {
      for (let left = reader.leb(); left > 0; left--) {
        exports.push(readName(reader, bytes));
        if (reader.byte() === SORT_CORE) reader.byte();
        reader.leb();
        if (reader.byte() !== 0) skipExternType(reader);
      }
    }
  }
  return { imports, exports };
}

function readName(reader: Reader, bytes: Uint8Array): string {
  const form = reader.byte();
  const length = reader.leb();
  const start = reader.position;
  reader.skip(length);
  if (form >= NAME_WITH_OPTIONS) throw new ModuleRefused("the component has names of a new form");
  return new TextDecoder().decode(bytes.subarray(start, start + length));
}

function skipExternType(reader: Reader): void {
  const kind = reader.byte();
  switch (kind) {
    case EXTERN.coreModule:
      reader.byte();
      reader.leb();
      return;
    case EXTERN.value:
      if (reader.byte() === 0) reader.leb();
      else skipValueType(reader);
      return;
    case EXTERN.type:
      // An equality names a type; that it is a resource needs nothing more.
      if (reader.byte() === 0) reader.leb();
      return;
    default:
      reader.leb();
  }
}

/** A type index, or a primitive in one byte: both are one number of LEB128. */
function skipValueType(reader: Reader): void {
  reader.leb();
}
