import { z } from "zod";
import { importAdvice } from "./import-advice.ts";
import { ImageError } from "./image-error.ts";
import type { WasmInspection } from "./wasm-inspection.ts";

const reference = z.looseObject({ digest: z.string().optional() });
const text = z.record(z.string(), z.string());
const component = z.looseObject({
  id: z.string(),
  source: reference,
  env: text.optional(),
  files: z.array(z.looseObject({ path: z.string() })).optional(),
  config: text.optional(),
  dependencies: z.record(z.string(), z.unknown()).optional(),
});
const trigger = z.looseObject({
  trigger_type: z.string(),
  trigger_config: z
    .looseObject({ executor: z.looseObject({ type: z.string() }).nullish() })
    .nullish(),
});
const lockedApplication = z.looseObject({
  spin_lock_version: z.number().max(1),
  must_understand: z.array(z.string()).optional(),
  host_requirements: z.record(z.string(), z.unknown()).optional(),
  variables: z.record(z.string(), z.looseObject({ default: z.string().optional() })).optional(),
  triggers: z.array(trigger),
  components: z.array(component),
});

type LockedApplication = z.infer<typeof lockedApplication>;
type LockedComponent = z.infer<typeof component>;

/** What of Spin's application a pod is made of. */
export interface SpinApplication {
  /** Digest of the layer that is its component. */
  readonly wasmDigest: string;
  /** `NAME=value`: its environment, and the variables that have a value. */
  readonly env: readonly string[];
}

/** What is understood of `must_understand`: its only entry so far, which names a field. */
const UNDERSTOOD: readonly string[] = ["host_requirements"];

/**
 * Reads the locked application of an image that Spin pushed. Throws ImageError `unsupported` with
 * everything about it that has no counterpart here.
 */
export function spinApplication(bytes: Uint8Array): SpinApplication {
  const application = parse(bytes);
  const [only] = application.components;
  const missing = [...applicationGaps(application), ...(only === undefined ? [] : gapsOf(only))];
  const wasmDigest = only?.source.digest;
  if (wasmDigest === undefined) missing.push("its component is not in a layer of its own");
  if (only === undefined || wasmDigest === undefined || missing.length > 0) throw refused(missing);
  return { wasmDigest, env: environmentOf(application, only) };
}

/**
 * Throws ImageError `unsupported` when the component of a Spin application imports what is Spin's
 * own, or is a module that Spin would turn into a component.
 */
export function checkSpinComponent(wasm: WasmInspection): void {
  if (wasm.kind === "module") {
    const how = "wasm-tools component new makes a component of it";
    throw refused([`its binary is a core module, which Spin adapts when it starts: ${how}`]);
  }
  const missing = importAdvice(wasm)
    .filter(({ verdict }) => verdict === "refused")
    .map(({ names, why }) => `${names.join(", ")}: ${why}`);
  if (missing.length > 0) throw refused(missing);
}

function parse(bytes: Uint8Array): LockedApplication {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ImageError("unsupported", `a Spin application that is not JSON: ${String(error)}`);
  }
  const parsed = lockedApplication.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = z.prettifyError(parsed.error);
  throw new ImageError("unsupported", `a Spin application of another form: ${why}`);
}

function applicationGaps(application: LockedApplication): string[] {
  const { components, triggers, must_understand: understand = [] } = application;
  const gaps: string[] = [];
  if (components.length !== 1) {
    const ids = components.map(({ id }) => id).join(", ");
    gaps.push(`it has ${components.length} components (${ids}): push each as an image of its own`);
  }
  const types = new Set(triggers.map((each) => each.trigger_type));
  for (const type of types)
    if (type !== "http") gaps.push(`its trigger ${type}: only http has a counterpart`);
  if (types.size === 0) gaps.push("it has no trigger");
  const executors = triggers.map((each) => each.trigger_config?.executor?.type);
  if (executors.includes("wagi")) {
    gaps.push("its executor wagi: push the module itself, with the RuntimeClass wagi");
  }
  for (const name of understand) {
    if (!UNDERSTOOD.includes(name)) gaps.push(`it wants ${name} to be understood`);
  }
  for (const [name, need] of Object.entries(application.host_requirements ?? {})) {
    if (need !== "optional") gaps.push(`it requires ${name} of its host`);
  }
  return gaps;
}

function gapsOf({ files = [], dependencies = {} }: LockedComponent): string[] {
  const gaps: string[] = [];
  if (files.length > 0) {
    const some = files.slice(0, 3).map(({ path }) => path);
    const more = files.length > some.length ? ", …" : "";
    const what = `${some.join(", ")}${more}`;
    gaps.push(`${files.length} files of its own (${what}): put them into a ConfigMap or a volume`);
  }
  for (const name of Object.keys(dependencies)) {
    gaps.push(`its dependency ${name}, which Spin composes when it starts`);
  }
  return gaps;
}

/**
 * wasi:config and wasi:cli read a pod's environment, so that a component's variables are there
 * with their defaults. One without a default is the pod's to give, by the same name.
 */
function environmentOf(application: LockedApplication, only: LockedComponent): string[] {
  const defaults = application.variables ?? {};
  const config = Object.entries(only.config ?? {}).flatMap(([name, template]) => {
    let whole = true;
    const value = template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, variable: string) => {
      const known = defaults[variable]?.default;
      if (known === undefined) whole = false;
      return known ?? "";
    });
    return whole ? [`${name}=${value}`] : [];
  });
  return [...Object.entries(only.env ?? {}).map(([name, value]) => `${name}=${value}`), ...config];
}

function refused(missing: readonly string[]): ImageError {
  const message = `a Spin application that cannot run here: ${missing.join("; ")}`;
  return new ImageError("unsupported", message);
}
