import type {
  ConfigMap,
  Container,
  EnvFromSource,
  EnvVar,
  Pod,
  Secret,
  Service,
} from "../api/index.ts";
import { ConfigError } from "./config-error.ts";
import { expandVariables } from "./expansion.ts";
import { type Allocatable, type PodAddresses, podField, resourceField } from "./pod-fields.ts";
import { podContainers } from "./pod-runtime-state.ts";
import { serviceEnvironment } from "./service-environment.ts";

/** The objects a pod may refer to; undefined: there is none of that name. */
export interface PodReferences {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly addresses: PodAddresses;
  readonly allocatable: Allocatable;
  readonly references: PodReferences;
  readonly services: readonly Service[];
}

const VARIABLE_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/**
 * The environment of a container: Services of its namespace, then envFrom, then env; a later entry
 * replaces an earlier one, and env values may refer to what stands before them. Throws
 * {@link ConfigError} with Kubernetes' words when something it needs is missing.
 */
export function containerEnvironment(input: EnvironmentInput): [string, string][] {
  const { pod, container, services } = input;
  const result = new Map<string, string>();
  const fromServices = serviceEnvironment(services, {
    namespace: pod.metadata.namespace ?? "",
    links: pod.spec?.enableServiceLinks ?? true,
  });
  result.set("HOSTNAME", pod.spec?.hostname ?? pod.metadata.name ?? "");
  for (const source of container.envFrom ?? []) {
    for (const [name, value] of envFrom(source, input)) result.set(name, value);
  }
  for (const variable of container.env ?? []) {
    const value = envValue(variable, input, (name) => result.get(name) ?? fromServices.get(name));
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of fromServices) if (!result.has(name)) result.set(name, value);
  return [...result];
}

function envFrom(source: EnvFromSource, { references }: EnvironmentInput): [string, string][] {
  const prefix = source.prefix ?? "";
  const pairs: [string, string][] = [];
  if (source.configMapRef !== undefined) {
    const { name = "", optional } = source.configMapRef;
    const map = references.configMap(name);
    if (map === undefined && optional !== true) throw new ConfigError(missing("configmap", name));
    pairs.push(...Object.entries(map?.data ?? {}));
  }
  if (source.secretRef !== undefined) {
    const { name = "", optional } = source.secretRef;
    const secret = references.secret(name);
    if (secret === undefined && optional !== true) throw new ConfigError(missing("secret", name));
    pairs.push(...Object.entries(secret?.data ?? {}).map(decodePair));
  }
  return pairs
    .map(([name, value]): [string, string] => [prefix + name, value])
    .filter(([name]) => VARIABLE_NAME.test(name));
}

function decodePair([key, value]: [string, string]): [string, string] {
  return [key, Buffer.from(value, "base64").toString()];
}

/** Undefined: an optional reference leads nowhere, so the variable is left out. */
function envValue(
  { value, valueFrom }: EnvVar,
  input: EnvironmentInput,
  lookup: (name: string) => string | undefined,
): string | undefined {
  const { pod, container, addresses, allocatable, references } = input;
  if (valueFrom === undefined) return expandVariables(value ?? "", lookup);
  if (valueFrom.fieldRef !== undefined) {
    return podField(pod, valueFrom.fieldRef.fieldPath, addresses);
  }
  if (valueFrom.resourceFieldRef !== undefined) {
    const { containerName } = valueFrom.resourceFieldRef;
    const target = podContainers(pod).find(({ name }) => name === containerName);
    return resourceField(target ?? container, valueFrom.resourceFieldRef, allocatable);
  }
  const [kind, ref] =
    valueFrom.configMapKeyRef === undefined
      ? (["secret", valueFrom.secretKeyRef] as const)
      : (["configmap", valueFrom.configMapKeyRef] as const);
  if (ref === undefined) throw new ConfigError("a valueFrom that this node does not know");
  const name = ref.name ?? "";
  const object = kind === "secret" ? references.secret(name) : references.configMap(name);
  const found = kind === "secret" ? decoded(object?.data?.[ref.key]) : object?.data?.[ref.key];
  if (found !== undefined || ref.optional === true) return found;
  if (object === undefined) throw new ConfigError(missing(kind, name));
  const title = kind === "secret" ? "Secret" : "ConfigMap";
  const { namespace } = pod.metadata;
  throw new ConfigError(`couldn't find key ${ref.key} in ${title} ${namespace}/${name}`);
}

function decoded(value: string | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value, "base64").toString();
}

/** `configmap "x" not found` */
export function missing(kind: "configmap" | "secret", name: string): string {
  return `${kind} "${name}" not found`;
}
