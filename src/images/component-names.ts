import { MAX_WASM_NAMES, WasmReader } from "./wasm-reader.ts";

/** What a component asks for and what it offers, in the order of the binary. */
export interface WasmNames {
  /** `wasi:http/types@0.2.3`, or the plain name of a function. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

const IMPORT_SECTION = 10;
const EXPORT_SECTION = 11;
const CORE_MODULE = 0x11;

/**
 * The names at the outermost level of a component, without its types and without what is nested in
 * it. Throws ImageError `unsupported` for what is no component binary. Source: the component
 * model's Binary.md, sections "Component Definitions" and "Import and Export Definitions".
 */
export function componentNames(bytes: Uint8Array): WasmNames {
  const imports: string[] = [];
  const exports: string[] = [];
  for (const { id, content } of new WasmReader(bytes).sections()) {
    if (id === IMPORT_SECTION) readImports(content, imports);
    if (id === EXPORT_SECTION) readExports(content, exports);
  }
  return { imports: [...new Set(imports)], exports: [...new Set(exports)] };
}

function readImports(reader: WasmReader, found: string[]): void {
  for (let left = reader.count(); left > 0; left--) {
    add(reader, found, externName(reader));
    skipExternDescription(reader);
  }
}

function readExports(reader: WasmReader, found: string[]): void {
  for (let left = reader.count(); left > 0; left--) {
    add(reader, found, externName(reader));
    if (reader.byte() === 0) reader.byte(); // A core sort has one more byte.
    reader.u32();
    switch (reader.byte()) {
      case 0:
        break;
      case 1:
        skipExternDescription(reader);
        break;
      default:
        throw reader.malformed("an export's type is neither there nor absent");
    }
  }
}

/** Components may have their imports in many sections: the bound is for all of them. */
function add(reader: WasmReader, found: string[], name: string): void {
  if (found.length >= MAX_WASM_NAMES) throw reader.malformed(`more than ${MAX_WASM_NAMES} names`);
  found.push(name);
}

/** 0x00 and 0x01 precede a name alone, 0x02 one with attributes behind it. */
function externName(reader: WasmReader): string {
  const form = reader.byte();
  const name = reader.name();
  switch (form) {
    case 0:
    case 1:
      return name;
    case 2:
      for (let left = reader.count(); left > 0; left--) {
        reader.byte();
        reader.name();
      }
      return name;
    default:
      throw reader.malformed(`a name of the unknown form ${form}`);
  }
}

function skipExternDescription(reader: WasmReader): void {
  const sort = reader.byte();
  switch (sort) {
    case 0:
      if (reader.byte() !== CORE_MODULE) throw reader.malformed("only core modules are imported");
      reader.u32();
      return;
    case 1: // a function
    case 4: // a component
    case 5: // an instance
      reader.u32();
      return;
    case 2: // a value: equal to another, or of a type
      if (reader.byte() === 0) reader.u32();
      else reader.skipNumber();
      return;
    case 3: // a type: equal to another, or a new resource
      if (reader.byte() === 0) reader.u32();
      return;
    default:
      throw reader.malformed(`an import or export of the unknown sort ${sort}`);
  }
}
