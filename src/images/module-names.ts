import { MAX_WASM_NAMES, WasmReader } from "./wasm-reader.ts";

/** One import of a core module. */
export interface ModuleImport {
  readonly module: string;
  readonly name: string;
  /** A memory that threads would share. */
  readonly sharedMemory: boolean;
}

export interface ModuleNames {
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly string[];
}

const IMPORT_SECTION = 2;
const EXPORT_SECTION = 7;
const SHARED = 0x02;
const MEMORY_64 = 0x04;
const PAGE_SIZE = 0x08;

/**
 * The imports and exports of a core module. Throws ImageError `unsupported` for what is no module.
 * Source: the core specification, section "Binary Format", with the threads and memory64 proposals.
 */
export function moduleNames(bytes: Uint8Array): ModuleNames {
  const imports: ModuleImport[] = [];
  const exports: string[] = [];
  for (const { id, content } of new WasmReader(bytes).sections()) {
    if (id === IMPORT_SECTION) {
      for (let left = content.count(); left > 0; left--) imports.push(readImport(content));
    }
    if (id === EXPORT_SECTION) {
      for (let left = content.count(); left > 0; left--) {
        exports.push(content.name());
        content.byte();
        content.u32();
      }
    }
    if (imports.length > MAX_WASM_NAMES || exports.length > MAX_WASM_NAMES) {
      throw content.malformed(`more than ${MAX_WASM_NAMES} names`);
    }
  }
  return { imports, exports };
}

function readImport(reader: WasmReader): ModuleImport {
  const module = reader.name();
  const name = reader.name();
  const kind = reader.byte();
  let sharedMemory = false;
  switch (kind) {
    case 0: // a function of a type
      reader.u32();
      break;
    case 1: // a table: what it holds, and limits
      skipReferenceType(reader);
      skipLimits(reader);
      break;
    case 2:
      sharedMemory = skipLimits(reader);
      break;
    case 3: // a global: its type, and whether it changes
      skipReferenceType(reader);
      reader.byte();
      break;
    case 4: // a tag of exception handling
      reader.byte();
      reader.u32();
      break;
    default:
      throw reader.malformed(`an import of the unknown kind ${kind}`);
  }
  return { module, name, sharedMemory };
}

/** One byte, or with 0x63 and 0x64 a heap type behind it (typed function references). */
function skipReferenceType(reader: WasmReader): void {
  const type = reader.byte();
  if (type === 0x63 || type === 0x64) reader.skipNumber();
}

function skipLimits(reader: WasmReader): boolean {
  const flags = reader.byte();
  if (flags > (SHARED | MEMORY_64 | PAGE_SIZE | 1)) {
    throw reader.malformed(`limits of the unknown form ${flags}`);
  }
  reader.skipNumber();
  if ((flags & 1) !== 0) reader.skipNumber();
  if ((flags & PAGE_SIZE) !== 0) reader.u32();
  return (flags & SHARED) !== 0;
}
