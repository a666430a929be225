import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ComponentManifest,
  MANIFEST_FILE,
  parseManifest,
} from "../component/component-manifest.ts";
import { withoutVersion } from "../component/component-binary.ts";
import { limitMemory, PAGE_BYTES } from "./limit-memory.ts";
import { REFUSED_GROWTH } from "./track-growth.ts";
import { ModuleRefused, SECTION, sectionsOf } from "./wasm-binary.ts";

/** Host functions by interface name without version. */
export type ComponentImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** An instance of a component: its core instances with their memories. */
export interface ComponentInstance {
  /** By the names of the component's exports, with versions. */
  readonly exports: Readonly<Record<string, unknown>>;
  /** Sizes of all its memories together. */
  readonly memoryBytes: number;
  /** A memory.grow was refused; `undefined` when that is not tracked. */
  readonly refusedGrowth: boolean | undefined;
}

type InstantiateCore = (
  module: WebAssembly.Module,
  imports?: WebAssembly.Imports,
) => WebAssembly.Instance;

/** What the translator makes. */
interface GeneratedCode {
  instantiate(
    getCoreModule: (name: string) => WebAssembly.Module | undefined,
    imports: ComponentImports,
    instantiateCore: InstantiateCore,
  ): Promise<Readonly<Record<string, unknown>>> | Readonly<Record<string, unknown>>;
}

/** A component's translation, loaded: its core modules compiled once, under the memory limit. */
export class ComponentCode {
  readonly manifest: ComponentManifest;
  /** Pages one instance's memories may reach together; `undefined` when nothing bounds them. */
  readonly maximumPages: number | undefined;
  readonly #generated: GeneratedCode;
  readonly #modules: ReadonlyMap<string, WebAssembly.Module>;

  private constructor(
    manifest: ComponentManifest,
    generated: GeneratedCode,
    modules: ReadonlyMap<string, WebAssembly.Module>,
    maximumPages: number | undefined,
  ) {
    this.manifest = manifest;
    this.maximumPages = maximumPages;
    this.#generated = generated;
    this.#modules = modules;
  }

  /** Throws {@link ModuleRefused} with a message for the pod's status. */
  static async load(
    directory: string,
    memoryLimitBytes: number | undefined,
  ): Promise<ComponentCode> {
    const manifest = parseManifest(readFileSync(join(directory, MANIFEST_FILE), "utf8"));
    if (manifest === undefined) throw new ModuleRefused(`${directory} holds no translation`);
    const files = manifest.modules.map(({ name }) => ({
      name,
      bytes: readFileSync(join(directory, name)),
    }));
    const sharing = files.filter(({ bytes }) => hasMemory(bytes)).length;
    const limitBytes =
      memoryLimitBytes === undefined ? undefined : memoryLimitBytes / Math.max(1, sharing);
    // The engine compiles on threads of its own: meanwhile this one reads the code.
    const [generated, ...compiled] = await Promise.all([
      import(join(directory, manifest.code.name)) as Promise<GeneratedCode>,
      ...files.map(({ bytes }) => compileLimited(bytes, limitBytes)),
    ]);
    const modules = new Map(files.map(({ name }, index) => [name, compiled[index]?.module]));
    const pages = compiled.map(({ maximumPages }) => maximumPages);
    return new ComponentCode(
      manifest,
      generated,
      modules as ReadonlyMap<string, WebAssembly.Module>,
      pages.reduce(
        (sum, one) => (sum === undefined || one === undefined ? undefined : sum + one),
        0,
      ),
    );
  }

  /** A fresh instance; what its start function throws comes out as it is. */
  async instantiate(provided: ComponentImports): Promise<ComponentInstance> {
    const { importKeys, imports: names } = this.manifest;
    const imports = Object.fromEntries(
      importKeys.map((key) => {
        const name = withoutVersion(key);
        // Where versions differ, the host has the older one under its whole name.
        const versioned = names.find((one) => one.startsWith(`${name}@`)) ?? name;
        return [key, provided[versioned] ?? provided[name] ?? {}];
      }),
    );
    const memories = new Set<WebAssembly.Memory>();
    const growth: WebAssembly.Global[] = [];
    const exports = await this.#generated.instantiate(
      (name) => this.#modules.get(name),
      imports,
      (module, coreImports = {}) => {
        const instance = new WebAssembly.Instance(module, coreImports);
        for (const [name, exported] of Object.entries(instance.exports)) {
          if (exported instanceof WebAssembly.Memory) memories.add(exported);
          else if (name === REFUSED_GROWTH) growth.push(exported as WebAssembly.Global);
        }
        return instance;
      },
    );
    return new LoadedInstance(exports, memories, growth);
  }
}

class LoadedInstance implements ComponentInstance {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly #memories: ReadonlySet<WebAssembly.Memory>;
  readonly #growth: readonly WebAssembly.Global[];

  constructor(
    exports: Readonly<Record<string, unknown>>,
    memories: ReadonlySet<WebAssembly.Memory>,
    growth: readonly WebAssembly.Global[],
  ) {
    this.exports = exports;
    this.#memories = memories;
    this.#growth = growth;
  }

  get memoryBytes(): number {
    let sum = 0;
    for (const { buffer } of this.#memories) sum += buffer.byteLength;
    return sum;
  }

  get refusedGrowth(): boolean | undefined {
    if (this.#growth.length === 0) return undefined;
    return this.#growth.some(({ value }) => value === 1);
  }
}

function hasMemory(bytes: Uint8Array): boolean {
  return sectionsOf(bytes).some(({ id }) => id === SECTION.memory);
}

async function compileLimited(
  bytes: Uint8Array,
  limitBytes: number | undefined,
): Promise<{ module: WebAssembly.Module; maximumPages: number | undefined }> {
  // Parts of a component share their memories: whoever defines one bounds it for all.
  const limited = limitMemory(bytes, limitBytes, { importedMemory: "allowed" });
  const module = await WebAssembly.compile(limited.bytes as Uint8Array<ArrayBuffer>);
  return { module, maximumPages: limited.maximumPages };
}

/** The message of a limit in bytes. */
export function limitText(maximumPages: number | undefined): string {
  return maximumPages === undefined ? "4 GiB" : `${maximumPages * PAGE_BYTES} bytes`;
}
