import type { ResourceDefinition } from "../api/index.ts";
import type { KubeObject, ManagedFieldsEntry } from "../apimachinery/index.ts";
import type { Term } from "../store/index.ts";
import type { ListRequest, ObjectList } from "./list-page.ts";
import type { StoredObject } from "./object-codec.ts";
import type { WatchEvent, WatchRequest } from "./watch-objects.ts";

export interface ReadOptions {
  /** "0" takes what is here without asking whether it is the latest; other values wait for it. */
  readonly resourceVersion?: string;
}

export interface WriteOptions {
  /** Does everything but the write. */
  readonly dryRun?: boolean;
  /** Writes only as the leader of this term; of the present one when absent. */
  readonly term?: Term;
  /** Asked about the write besides the registry's own admission. */
  readonly admission?: OutsideAdmission | undefined;
  /** Hears what admission has to say without refusing; may hear the same twice. */
  readonly warn?: ((text: string) => void) | undefined;
}

/**
 * Admission by what the registry does not know: policies that users wrote, and webhooks. Both throw
 * the StatusError of a refusal. They are asked again when another write comes between.
 */
export interface OutsideAdmission {
  /** Changes the object in place. */
  mutate(object: KubeObject, old: Readonly<KubeObject> | undefined): Promise<void>;
  /** The object is undefined when it is to be deleted. */
  validate(
    object: Readonly<KubeObject> | undefined,
    old: Readonly<KubeObject> | undefined,
  ): Promise<void>;
}

/** Which part of an object a write may touch. */
export type WriteScope = "object" | "status" | "finalize" | "binding" | "ephemeralcontainers";

export interface UpdateOptions extends WriteOptions {
  /** The whole object without its status, unless said otherwise. */
  readonly scope?: WriteScope;
  /** A PUT of a kind that allows it creates what is missing. */
  readonly createMissing?: () => KubeObject;
  /** Whether `createMissing` is for every kind, as for server-side apply. */
  readonly creates?: "any-kind";
  /** metadata.managedFields of the result; without it they stay as they were. */
  readonly trackOwners?: (
    next: Readonly<KubeObject>,
    old: Readonly<KubeObject>,
  ) => ManagedFieldsEntry[] | undefined;
  /** For a change computed from the present state, as patches are: made again, not refused. */
  readonly retryConflicts?: boolean;
}

export interface UpdateResult {
  readonly stored: StoredObject;
  readonly created: boolean;
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export type PropagationPolicy = "Orphan" | "Background" | "Foreground";

export interface DeleteRequest extends WriteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: PropagationPolicy;
  readonly preconditions?: Preconditions;
}

export interface DeleteResult {
  /** The last state when it is gone, the present one when it only began to go. */
  readonly stored: StoredObject;
  readonly removed: boolean;
}

/** Makes the next state from a copy of the present one; called again when another write wins. */
export type Change = (current: KubeObject) => KubeObject;

/**
 * Everything one can do with the objects of one served resource. `namespace` is "" for cluster-wide
 * kinds and for all namespaces. Every refusal is a StatusError. Objects handed out are shared and
 * must not be changed; objects handed in belong to the registry from then on.
 */
export interface ResourceRegistry {
  readonly definition: ResourceDefinition;
  get(namespace: string, name: string, options?: ReadOptions): Promise<StoredObject>;
  list(request: ListRequest): Promise<ObjectList>;
  /** Batches of events, in order; ends when the signal aborts. 410 when the past is compacted. */
  watch(request: WatchRequest): AsyncIterable<readonly WatchEvent[]>;
  create(namespace: string, object: KubeObject, options?: WriteOptions): Promise<StoredObject>;
  update(
    namespace: string,
    name: string,
    change: Change,
    options?: UpdateOptions,
  ): Promise<UpdateResult>;
  delete(namespace: string, name: string, request?: DeleteRequest): Promise<DeleteResult>;
  /** Deletes what the list request selects; gives what it deleted. */
  deleteCollection(list: ListRequest, request?: DeleteRequest): Promise<ObjectList>;
}
