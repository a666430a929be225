import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  Volume,
  VolumeProjection,
} from "../api/index.ts";
import { ConfigError } from "./config-error.ts";
import type { PodReferences } from "./environment.ts";
import { type Allocatable, type PodAddresses, podField, resourceField } from "./pod-fields.ts";
import { podContainers } from "./pod-runtime-state.ts";
import type { PodTokens } from "./service-account-token.ts";

export interface PayloadFile {
  readonly content: Uint8Array;
  readonly mode: number;
}

/** Relative path → file. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface PayloadInput {
  readonly pod: Pod;
  readonly addresses: PodAddresses;
  readonly allocatable: Allocatable;
  readonly references: PodReferences;
  /** The tokens of the pod's account; needed where a volume projects one. */
  readonly tokens?: PodTokens;
}

const DEFAULT_MODE = 0o644;
const MAX_FILES = 4096;

/**
 * What a volume made of objects holds. Undefined for volumes of another kind. Throws
 * {@link ConfigError}: an object or key is missing, or a path leaves the volume.
 */
export function volumePayload(volume: Volume, input: PayloadInput): Payload | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  const files = new Map<string, PayloadFile>();
  if (configMap !== undefined) {
    addSource(files, { configMap }, configMap.defaultMode ?? DEFAULT_MODE, input);
  } else if (secret !== undefined) {
    const { secretName: name = "", items, optional, defaultMode } = secret;
    const projection = { name, ...(items && { items }), ...(optional && { optional }) };
    addSource(files, { secret: projection }, defaultMode ?? DEFAULT_MODE, input);
  } else if (downwardAPI !== undefined) {
    const { items = [], defaultMode } = downwardAPI;
    addSource(files, { downwardAPI: { items } }, defaultMode ?? DEFAULT_MODE, input);
  } else if (projected !== undefined) {
    for (const source of projected.sources ?? []) {
      addSource(files, source, projected.defaultMode ?? DEFAULT_MODE, input);
    }
  } else {
    return undefined;
  }
  return files;
}

function addSource(
  files: Map<string, PayloadFile>,
  source: VolumeProjection,
  mode: number,
  input: PayloadInput,
): void {
  if (source.configMap !== undefined) {
    const { name = "", items, optional } = source.configMap;
    const map = input.references.configMap(name);
    const data = new Map<string, Uint8Array>();
    for (const [key, text] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(text));
    for (const [key, text] of Object.entries(map?.binaryData ?? {})) {
      data.set(key, Buffer.from(text, "base64"));
    }
    const found = map === undefined ? undefined : data;
    addKeys(files, found, { kind: "configmap", name, items, optional, mode });
  } else if (source.secret !== undefined) {
    const { name = "", items, optional } = source.secret;
    const secret = input.references.secret(name);
    const data = Object.entries(secret?.data ?? {}).map(([key, text]): [string, Uint8Array] => [
      key,
      Buffer.from(text, "base64"),
    ]);
    const found = secret === undefined ? undefined : new Map(data);
    addKeys(files, found, { kind: "secret", name, items, optional, mode });
  } else if (source.downwardAPI !== undefined) {
    for (const item of source.downwardAPI.items ?? []) {
      const content = Buffer.from(downwardValue(item, input));
      add(files, item.path, { content, mode: item.mode ?? mode });
    }
  } else if (source.serviceAccountToken !== undefined && input.tokens !== undefined) {
    const content = Buffer.from(input.tokens(source.serviceAccountToken));
    add(files, source.serviceAccountToken.path, { content, mode });
  } else {
    const kind = Object.keys(source).join(", ") || "empty";
    throw new ConfigError(`projected source ${kind} is not supported on this node`);
  }
}

interface KeySelection {
  readonly kind: "configmap" | "secret";
  readonly name: string;
  readonly items: readonly KeyToPath[] | undefined;
  readonly optional: boolean | undefined;
  readonly mode: number;
}

function addKeys(
  files: Map<string, PayloadFile>,
  data: ReadonlyMap<string, Uint8Array> | undefined,
  { kind, name, items, optional, mode }: KeySelection,
): void {
  if (data === undefined) {
    if (optional === true) return;
    throw new ConfigError(`${kind} "${name}" not found`);
  }
  if (items === undefined || items.length === 0) {
    for (const [key, content] of data) add(files, key, { content, mode });
    return;
  }
  for (const item of items) {
    const content = data.get(item.key);
    if (content !== undefined) add(files, item.path, { content, mode: item.mode ?? mode });
    else if (optional !== true) {
      throw new ConfigError(`references non-existent ${kind} key: ${item.key}`);
    }
  }
}

function downwardValue(item: DownwardAPIVolumeFile, input: PayloadInput): string {
  const { pod, addresses, allocatable } = input;
  if (item.fieldRef !== undefined) return podField(pod, item.fieldRef.fieldPath, addresses);
  const selector = item.resourceFieldRef;
  const container = podContainers(pod).find(({ name }) => name === selector?.containerName);
  if (selector === undefined || container === undefined) {
    throw new ConfigError(`downward API file ${item.path}: names no field and no container`);
  }
  return resourceField(container, selector, allocatable);
}

function add(files: Map<string, PayloadFile>, path: string, file: PayloadFile): void {
  const parts = path.split("/");
  const leaves = path.startsWith("/") || parts.some((part) => part === ".." || part === "");
  if (leaves || parts[0]?.startsWith("..")) {
    throw new ConfigError(`path ${JSON.stringify(path)}: must be relative and stay in the volume`);
  }
  if (files.size >= MAX_FILES) throw new ConfigError(`a volume may have ${MAX_FILES} files`);
  files.set(path, file);
}
