import type { ConfigMap, Pod, Secret, VolumeProjection } from "../api/index.ts";
import {
  type ApiResource,
  type Client,
  CONFIG_MAPS,
  createInformer,
  type Informer,
  SECRETS,
} from "../client/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { podContainers } from "./pod-runtime-state.ts";
import type { PodReferences } from "./environment.ts";

export interface ReferenceCacheOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Called with the uids of the pods that refer to an object that changed. */
  readonly onChange: (uids: readonly string[]) => void;
}

type Kind = "configmap" | "secret";

interface Entry {
  readonly informer: Informer<ConfigMap | Secret>;
  readonly users: Set<string>;
  readonly abort: AbortController;
}

/** Objects that one pod may refer to. */
export const MAX_REFERENCES = 1000;

/**
 * The ConfigMaps and Secrets that pods of this node refer to, each watched by its name while a pod
 * uses it: a node holds no secret that none of its pods asked for.
 */
export class ReferenceCache {
  readonly #options: ReferenceCacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #byPod = new Map<string, ReadonlySet<string>>();

  constructor(options: ReferenceCacheOptions) {
    this.#options = options;
  }

  /** Resolves when everything the pod refers to was looked up at least once. */
  async acquire(pod: Pod): Promise<PodReferences> {
    const { uid = "", namespace = "" } = pod.metadata;
    const wanted = new Set(
      referencesOf(pod)
        .slice(0, MAX_REFERENCES)
        .map(({ kind, name }) => `${kind}/${namespace}/${name}`),
    );
    const before = this.#byPod.get(uid) ?? new Set<string>();
    this.#byPod.set(uid, wanted);
    for (const key of before) if (!wanted.has(key)) this.#drop(key, uid);
    const waits = [...wanted].flatMap((key) => {
      const { informer } = this.#use(key, uid);
      return informer.hasSynced() ? [] : [informer.synced()];
    });
    if (waits.length > 0) await Promise.all(waits);
    const find = (kind: Kind, name: string) =>
      this.#entries.get(`${kind}/${namespace}/${name}`)?.informer.lister.get(namespace, name);
    return {
      configMap: (name) => find("configmap", name),
      secret: (name) => find("secret", name),
    };
  }

  /** The pod is gone. */
  release(uid: string): void {
    for (const key of this.#byPod.get(uid) ?? []) this.#drop(key, uid);
    this.#byPod.delete(uid);
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.abort.abort();
    this.#entries.clear();
  }

  #use(key: string, uid: string): Entry {
    const entry = this.#entries.get(key) ?? this.#open(key);
    entry.users.add(uid);
    return entry;
  }

  #open(key: string): Entry {
    const [kind, namespace = "", name = ""] = key.split("/");
    const { client, clock, random, logger } = this.#options;
    const resource = (kind === "secret" ? SECRETS : CONFIG_MAPS) as ApiResource<ConfigMap | Secret>;
    const fieldSelector = `metadata.name=${name}`;
    const options = { namespace, fieldSelector, clock, random, logger };
    const informer = createInformer(client, resource, options);
    const entry: Entry = { informer, users: new Set(), abort: new AbortController() };
    this.#entries.set(key, entry);
    const changed = () => {
      if (informer.hasSynced()) this.#options.onChange([...entry.users]);
    };
    informer.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
    informer.start(entry.abort.signal);
    return entry;
  }

  #drop(key: string, uid: string): void {
    const entry = this.#entries.get(key);
    entry?.users.delete(uid);
    if (entry === undefined || entry.users.size > 0) return;
    entry.abort.abort();
    this.#entries.delete(key);
  }
}

interface Reference {
  readonly kind: Kind;
  readonly name: string;
}

/** Every ConfigMap and Secret that the pod names. */
export function referencesOf(pod: Pod): Reference[] {
  const found: Reference[] = [];
  const add = (kind: Kind, name: string | undefined): void => {
    if (name !== undefined && name !== "") found.push({ kind, name });
  };
  for (const container of podContainers(pod)) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add("configmap", configMapRef?.name);
      add("secret", secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add("configmap", valueFrom?.configMapKeyRef?.name);
      add("secret", valueFrom?.secretKeyRef?.name);
    }
  }
  for (const { configMap, secret, projected } of pod.spec?.volumes ?? []) {
    add("configmap", configMap?.name);
    add("secret", secret?.secretName);
    for (const source of projected?.sources ?? []) addProjection(source, add);
  }
  for (const { name } of pod.spec?.imagePullSecrets ?? []) add("secret", name);
  return found;
}

function addProjection(
  { configMap, secret }: VolumeProjection,
  add: (kind: Kind, name: string | undefined) => void,
): void {
  add("configmap", configMap?.name);
  add("secret", secret?.name);
}
