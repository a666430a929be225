import { readFileSync } from "node:fs";
import { limitMemory } from "./limit-memory.ts";
import { leavePrepared, readPrepared } from "./prepared-module.ts";
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
  /** Where the module may stand as it is compiled, or is left by the first who compiles it. */
  readonly preparedPath?: string;
  /** `module.name` of every function there is. */
  readonly provided: () => ReadonlySet<string>;
  /** Instances get their memory from a pool. */
  readonly poolMemory?: true;
}): Promise<CompiledModule> {
  const { path, preparedPath, ...rest } = options;
  const known = preparedPath === undefined ? undefined : readPrepared(preparedPath);
  // Checked by whoever left it; one that does not compile any more is prepared anew.
  const module = known && (await compile(known.bytes).catch(() => undefined));
  if (module !== undefined) return { module, maximumPages: known?.maximumPages };
  return compileBytes(readFileSync(path), {
    ...rest,
    provided: options.provided(),
    ...(preparedPath === undefined ? {} : { preparedPath }),
  });
}

/** {@link compileModule}, of bytes that are in memory. */
export async function compileBytes(
  bytes: Uint8Array,
  options: {
    readonly memoryLimitBytes: number | undefined;
    readonly provided: ReadonlySet<string>;
    readonly preparedPath?: string;
    readonly poolMemory?: true;
  },
): Promise<CompiledModule> {
  const unwelcome = threadsOrWasix(bytes);
  if (unwelcome !== undefined) throw new ModuleRefused(unwelcome);
  const limited = limitMemory(bytes, options.memoryLimitBytes);
  const pooled = options.poolMemory ? importMemory(limited.bytes) : undefined;
  const compiled = withTrackedGrowth(pooled?.bytes ?? limited.bytes);
  const module = await compile(compiled);
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
  const { preparedPath } = options;
  if (preparedPath !== undefined) leavePrepared(preparedPath, { bytes: compiled, maximumPages });
  return { module, maximumPages, ...(pooled === undefined ? {} : { memory: pooled.memory }) };
}

/** With refused growth tracked, where that gives a valid module. */
function withTrackedGrowth(bytes: Uint8Array): Uint8Array {
  const tracked = trackGrowth(bytes);
  const isValid = tracked !== undefined && WebAssembly.validate(tracked as Uint8Array<ArrayBuffer>);
  return isValid ? tracked : bytes;
}

async function compile(bytes: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (error) {
    throw new ModuleRefused(`the module does not compile: ${String(error)}`);
  }
}
