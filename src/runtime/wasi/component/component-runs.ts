import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ResolvedImage } from "../../../images/index.ts";
import type { Clock, Logger } from "../../../lib/index.ts";
import type { ProcessSpawner } from "../../process-spawner.ts";
import { type ContainerConfig, RuntimeError } from "../../runtime.ts";
import type { SandboxRecord, StateDirectory } from "../state-directory.ts";
import { BINARY_HEADER_BYTES, wasmBinaryKind } from "./component-binary.ts";
import { componentEntry, interfacesOf } from "./component-support.ts";
import { ComponentTranslations } from "./component-translations.ts";
import type { EgressGate } from "./egress-gate.ts";
import type { KeyvalueGate } from "./keyvalue-gate.ts";
import { type LikelyComponent, LikelyComponents } from "./likely-components.ts";
import { componentSettings } from "./pod-grants.ts";
import { runTranslation, type TranslationOrder } from "./translation-process.ts";

export interface ComponentRunsOptions {
  readonly images: { list(): readonly ResolvedImage[] };
  readonly translateCommand?: readonly string[];
  readonly egress?: EgressGate;
  readonly keyvalue?: KeyvalueGate;
  readonly spawner: ProcessSpawner;
  readonly clock: Clock;
  readonly logger: Logger;
}

const OWN_PREFIX = "kubun.dev/";
/** Each starts an instance of the module, which a component is not. */
const MODULE_HANDLER = "wagi";
const DIGEST_OF_REFERENCE = /@(sha256:[0-9a-f]{64})$/;

/** What running components takes beside workers: translations, and the ways out of pods. */
export class ComponentRuns {
  readonly #directory: StateDirectory;
  readonly #options: ComponentRunsOptions;
  readonly #translations: ComponentTranslations;
  readonly #likely = new LikelyComponents();
  /** Sandbox id → its ways out, by what they are. */
  readonly #gates = new Map<string, Map<string, { close(): void }>>();

  constructor(directory: StateDirectory, options: ComponentRunsOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#translations = new ComponentTranslations({
      directory: directory.componentsDirectory,
      translate: (order) => this.#translate(order),
      logger: options.logger,
    });
  }

  /**
   * Where the translation of a component is, made now unless it is there; `undefined` for a module.
   * Errors: `image-unsupported`, `invalid-config` for annotations, `exhausted`.
   */
  async prepare(
    sandbox: SandboxRecord,
    image: ResolvedImage,
    { memoryLimitBytes }: Pick<ContainerConfig, "memoryLimitBytes">,
  ): Promise<string | undefined> {
    const { digest, modulePath, reference } = image;
    if (modulePath === undefined || !isComponent(modulePath)) return undefined;
    if (sandbox.handler === MODULE_HANDLER) {
      const why = `image ${reference} is a component: RuntimeClass wagi runs modules, use wasi`;
      throw new RuntimeError("invalid-config", why);
    }
    componentSettings(sandbox.annotations);
    try {
      const { directory, manifest } = await this.#translations.ensure({ digest, modulePath });
      const limit = memoryLimitBytes === undefined ? {} : { memoryLimitBytes };
      this.#likely.used({ directory, ...limit }, manifest);
      return directory;
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      throw new RuntimeError(error.code, `image ${reference}: ${error.message}`, { cause: error });
    }
  }

  /** What a worker is to load while it waits: nothing where no component was ever run. */
  get expected(): { readonly components?: readonly LikelyComponent[] } {
    return this.#translations.isAny ? { components: this.#likely.list } : {};
  }

  /** An image was pulled: its translation begins before a container asks for it. */
  pulled({ digest, modulePath }: ResolvedImage): void {
    if (modulePath === undefined || !isComponent(modulePath)) return;
    this.#translations.ensure({ digest, modulePath }).catch((error: unknown) => {
      // Who creates a container of it is told; here it is only early.
      this.#options.logger.info("a pulled component was not translated", { error: String(error) });
    });
  }

  /** Removes translations that neither an image here nor a container needs. */
  sweep(imageRefs: readonly string[]): void {
    const digests = imageRefs.flatMap((reference) => {
      const digest = DIGEST_OF_REFERENCE.exec(reference)?.[1];
      return digest === undefined ? [] : [digest];
    });
    const images = this.#options.images.list().map(({ digest }) => digest);
    this.#translations.keepOnly(new Set([...digests, ...images]));
    this.#likely.keepOnly((directory) => existsSync(directory));
  }

  /** Opens the pod's ways to hosts and to stores, if its annotations name any. Idempotent. */
  openGates(sandbox: SandboxRecord): void {
    const { egress, keyvalue } = this.#options;
    const { allowedHosts, keyvalueStores: stores } = componentSettings(sandbox.annotations).grants;
    const pod = { namespace: sandbox.namespace, name: sandbox.name };
    if (egress !== undefined && allowedHosts.length > 0) {
      const path = this.#directory.egressPath(sandbox);
      this.#openGate(sandbox.id, path, () => egress.open({ path, pod, allowedHosts }));
    }
    if (keyvalue !== undefined && stores.length > 0) {
      const path = this.#directory.keyvaluePath(sandbox);
      this.#openGate(sandbox.id, path, () => keyvalue.open({ path, pod, stores }));
    }
  }

  #openGate(sandboxId: string, path: string, open: () => { close(): void }): void {
    const gates = this.#gates.get(sandboxId) ?? new Map<string, { close(): void }>();
    this.#gates.set(sandboxId, gates);
    if (gates.has(path)) return;
    try {
      gates.set(path, open());
    } catch (error) {
      // The guest runs without: its calls fail with an error of their own.
      const why = { path, error: String(error) };
      this.#options.logger.error("a pod's way out cannot be opened", why);
    }
  }

  closeGates(sandboxId: string): void {
    for (const gate of this.#gates.get(sandboxId)?.values() ?? []) gate.close();
    this.#gates.delete(sandboxId);
  }

  /** Closes every way out; the next server opens them again. */
  close(): void {
    for (const sandboxId of this.#gates.keys()) this.closeGates(sandboxId);
  }

  async #translate(order: TranslationOrder): Promise<void> {
    // What can be refused without a process is refused at once.
    componentEntry(interfacesOf(await readFile(order.input)));
    const { spawner, clock } = this.#options;
    const command = this.#options.translateCommand ?? TRANSLATE_COMMAND;
    await runTranslation({ command, spawner, clock }, order);
  }
}

const TRANSLATE_COMMAND = [
  process.execPath,
  join(import.meta.dir, "..", "..", "..", "cmd", "wasi-translate.ts"),
];

/** What of a pod's annotations this runtime reads; `undefined` for nothing. */
export function ownAnnotations(
  annotations: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> | undefined {
  const own = Object.entries(annotations).filter(([name]) => name.startsWith(OWN_PREFIX));
  return own.length === 0 ? undefined : Object.fromEntries(own);
}

function isComponent(path: string): boolean {
  const header = new Uint8Array(BINARY_HEADER_BYTES);
  const file = openSync(path, "r");
  try {
    return readSync(file, header) === header.length && wasmBinaryKind(header) === "component";
  } finally {
    closeSync(file);
  }
}
