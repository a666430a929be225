import { readFileSync } from "node:fs";
import { limitMemory } from "./limit-memory.ts";
import { importMemory, POOL_MODULE, type PooledMemoryType } from "./memory-pool.ts";
import { trackGrowth } from "./track-growth.ts";
import { notProvided, threadsOrWasix } from "./unwelcome-imports.ts";
import { ModuleRefused } from "./wasm-binary.ts";

export interface CompiledModule {
  readonly module: WebAssembly.Module;
  /** Pages its memories may reach together; `undefined` when nothing bounds them. */
  readonly maximumPages: number | undefined;
  /** What its memory is, when it imports it from us; see {@link importMemory}. */
  readonly memory?: PooledMemoryType;
}

/**
 * Reads, limits and compiles a module, and checks that `provided` has all it imports. Throws
 * {@link ModuleRefused} with a message for the pod's status.
 */
export async function compileModule(options: {
  readonly path: string;
  readonly memoryLimitBytes: number | undefined;
  /** `module.name` of every function there is. */
  readonly provided: ReadonlySet<string>;
  /** Instances get their memory from a pool. */
  readonly poolMemory?: true;
}): Promise<CompiledModule> {
  return compileBytes(readFileSync(options.path), options);
}

/** {@link compileModule}, of bytes that are in memory. */
export async function compileBytes(
  bytes: Uint8Array,
  options: {
    readonly memoryLimitBytes: number | undefined;
    readonly provided: ReadonlySet<string>;
    readonly poolMemory?: true;
  },
): Promise<CompiledModule> {
  const unwelcome = threadsOrWasix(bytes);
  if (unwelcome !== undefined) throw new ModuleRefused(unwelcome);
  const limited = limitMemory(bytes, options.memoryLimitBytes);
  const pooled = options.poolMemory ? importMemory(limited.bytes) : undefined;
  const module = await compileTracked(pooled?.bytes ?? limited.bytes);
  const strangers = WebAssembly.Module.imports(module).filter(
    ({ kind, module, name }) =>
      (kind !== "function" || !options.provided.has(`${module}.${name}`)) && module !== POOL_MODULE,
  );
  if (strangers.length > 0) throw new ModuleRefused(notProvided(strangers));
  const exports = WebAssembly.Module.exports(module);
  if (!exports.some(({ kind, name }) => kind === "function" && name === "_start")) {
    throw new ModuleRefused("the module exports no _start function: it is a library, no command");
  }
  if (!exports.some(({ kind, name }) => kind === "memory" && name === "memory")) {
    throw new ModuleRefused("the module exports no memory under the name memory");
  }
  const { maximumPages } = limited;
  return { module, maximumPages, ...(pooled === undefined ? {} : { memory: pooled.memory }) };
}

/** With refused growth tracked, where that gives a valid module. */
async function compileTracked(bytes: Uint8Array): Promise<WebAssembly.Module> {
  const tracked = trackGrowth(bytes);
  if (tracked === undefined || !WebAssembly.validate(tracked as Uint8Array<ArrayBuffer>)) {
    return compile(bytes);
  }
  return compile(tracked);
}

async function compile(bytes: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (error) {
    throw new ModuleRefused(`the module does not compile: ${String(error)}`);
  }
}
