import type { ResourceDefinition } from "../api/index.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  type FieldError,
  generateNameConflict,
  invalid,
  invalidField,
  isStatusError,
  jsonEquals,
  type KubeObject,
  notFound,
  rfc3339,
  serverTimeout,
} from "../apimachinery/index.ts";
import { type Clock, type Random, randomUuid } from "../lib/index.ts";
import { type KeyValue, type PutOptions, type Store, StoreError } from "../store/index.ts";
import { completeObject, judgeObject } from "./admission/admission.ts";
import type { AdmittedWrite } from "./admission/admission-plugin.ts";
import type { PodDefaults } from "./admission/pod-defaults.ts";
import { isDoneDeleting, planDeletion } from "./deletion-plan.ts";
import { generatedName, MAX_NAME_DRAWS } from "./generated-name.ts";
import { KeyTurns } from "./key-turns.ts";
import { type KindTraits, traitsOf } from "./kind-traits.ts";
import { latestState } from "./latest-state.ts";
import type { LeaderState } from "./leader-state.ts";
import type { Leading } from "./leading.ts";
import type { Lookup } from "./lookup.ts";
import { holdsHeartbeats } from "./node-lease-overlay.ts";
import type { ObjectCodec, StoredObject } from "./object-codec.ts";
import type {
  Change,
  DeleteRequest,
  DeleteResult,
  UpdateOptions,
  UpdateResult,
  WriteOptions,
} from "./resource-registry.ts";
import { refusalOf } from "./store-refusal.ts";
import { objectKey } from "./storage-key.ts";
import { initialStatus } from "./strategies/initial-status.ts";
import { bothOf, type Reservation, type Strategy } from "./strategy.ts";
import { applyScope, changesGeneration, comparedWith, setOwners } from "./write-scope.ts";

export interface ObjectWriterOptions {
  readonly definition: ResourceDefinition;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly codec: ObjectCodec;
  readonly lookup: Lookup;
  readonly leading: Leading;
  readonly tolerations: PodDefaults;
}

/** How often a write without resourceVersion starts again because another one won. */
export const MAX_WRITE_ATTEMPTS = 64;
const RETRY_AFTER_SECONDS = 1;

const NO_RESERVATION: Reservation = { commit: () => undefined, rollback: () => undefined };

/** What one update was asked for. */
interface UpdateOf {
  readonly namespace: string;
  readonly name: string;
  readonly change: Change;
  readonly options: UpdateOptions;
  readonly leader: LeaderState;
}

/** The writing verbs of one resource; each runs as the leader of one term, or is refused. */
export class ObjectWriter {
  readonly #options: ObjectWriterOptions;
  readonly #definition: ResourceDefinition;
  readonly #traits: KindTraits;
  readonly #turns = new KeyTurns();

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
    this.#definition = options.definition;
    this.#traits = traitsOf(options.definition);
  }

  async create(
    namespace: string,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    const leader = this.#options.leading.in(options.term);
    const { metadata } = object;
    this.#prepareMetadata(namespace, object);
    const base = metadata.generateName ?? "";
    if ((metadata.name ?? "") !== "" || base === "") {
      return this.#createNamed(object, options, leader);
    }
    for (let draw = 1; ; draw++) {
      metadata.name = generatedName(base, this.#options.random);
      try {
        return await this.#createNamed(object, options, leader);
      } catch (error) {
        if (!isStatusError(error, "AlreadyExists")) throw error;
        if (draw >= MAX_NAME_DRAWS) throw generateNameConflict(this.#definition, metadata.name);
      }
    }
  }

  async update(
    namespace: string,
    name: string,
    change: Change,
    options: UpdateOptions = {},
  ): Promise<UpdateResult> {
    const leader = this.#options.leading.in(options.term);
    const key = objectKey(this.#definition, namespace, name);
    return this.#contend("update", key, async () => {
      const kv = this.#options.store.get(key);
      if (kv === undefined) return this.#createMissing(namespace, name, options);
      const done = await this.#tryUpdate(kv, { namespace, name, change, options, leader });
      return done === "again" ? done : { stored: done, created: false };
    });
  }

  async delete(
    namespace: string,
    name: string,
    request: DeleteRequest = {},
  ): Promise<DeleteResult> {
    const leader = this.#options.leading.in(request.term);
    const key = objectKey(this.#definition, namespace, name);
    return this.#contend("delete", key, async () => {
      const kv = this.#options.store.get(key);
      if (kv === undefined) throw notFound(this.#definition, name);
      return this.#tryDelete(kv, name, request, leader);
    });
  }

  /**
   * Tries until no other write comes between. Those that have lost once take turns: a hundred
   * writers of one object cost two hundred attempts, not five thousand.
   */
  async #contend<T extends object>(
    verb: string,
    key: string,
    attempt: () => Promise<T | "again">,
  ): Promise<T> {
    const first = await this.#decided(key, attempt);
    if (first !== "again") return first;
    return this.#turns.run(key, async () => {
      for (let count = 1; count < MAX_WRITE_ATTEMPTS; count++) {
        const done = await this.#decided(key, attempt);
        if (done !== "again") return done;
      }
      throw serverTimeout(this.#definition, verb, RETRY_AFTER_SECONDS);
    });
  }

  /**
   * What was decided without a write (a refusal, or that nothing changes) counts only if the
   * object is the latest: a leader whose disk is slow has not applied yet what its followers may
   * serve, and one that was cut off may lead no more.
   */
  async #decided<T extends object>(
    key: string,
    attempt: () => Promise<T | "again">,
  ): Promise<T | "again"> {
    const { store } = this.#options;
    const seen = store.get(key);
    let done: T | "again";
    try {
      done = await attempt();
    } catch (error) {
      if (!isRefusal(error) || (await this.#isLatest(key, seen))) throw error;
      return "again";
    }
    if (done === "again" || store.get(key) !== seen) return done;
    return (await this.#isLatest(key, seen)) ? done : "again";
  }

  async #isLatest(key: string, seen: KeyValue | undefined): Promise<boolean> {
    const { store } = this.#options;
    if (store.get(key) !== seen) return false;
    await latestState(store);
    return store.get(key) === seen;
  }

  #prepareMetadata(namespace: string, object: KubeObject): void {
    const { metadata } = object;
    if ((metadata.resourceVersion ?? "") !== "") {
      throw badRequest("resourceVersion should not be set on objects to be created");
    }
    if (this.#definition.namespaced) metadata.namespace = namespace;
    else delete metadata.namespace;
    delete metadata.resourceVersion;
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    delete metadata.selfLink;
    delete metadata.generation;
    if (this.#traits.hasGeneration) metadata.generation = 1;
    metadata.uid = randomUuid(this.#options.random);
    metadata.creationTimestamp = rfc3339(this.#options.clock.now());
    if (!this.#traits.hasStatus) return;
    const status = initialStatus(this.#definition);
    if (status !== undefined) object["status"] = status;
  }

  async #createNamed(
    object: KubeObject,
    { dryRun, warn, admission }: WriteOptions,
    leader: LeaderState,
  ): Promise<StoredObject> {
    const { store, codec } = this.#options;
    const strategy = leader.strategyOf(this.#definition);
    const { name = "", namespace = "" } = object.metadata;
    const write = this.#writeOf(object, { warn });
    await this.#asOfLatest(() => completeObject(write));
    if (admission !== undefined) {
      await admission.mutate(object, undefined);
      // What was put in from outside, such as a container, is completed like the rest.
      await this.#asOfLatest(() => completeObject(write));
    }
    strategy.prepareForCreate?.(object);
    this.#refuse(name, this.#definition.validate(object));
    await this.#asOfLatest(() => judgeObject(write));
    await admission?.validate(object, undefined);
    const key = objectKey(this.#definition, namespace, name);
    const reservation = await this.#asOfLatest(() => this.#reserve(leader, object, undefined));
    try {
      if (dryRun === true) {
        if (store.get(key) !== undefined) throw alreadyExists(this.#definition, name);
        reservation.rollback();
        return codec.unstored(object, store.revision);
      }
      const bytes = codec.encode(object);
      const kv = await this.#put(leader, (put) => store.create(key, bytes, put));
      reservation.commit();
      return codec.stored(kv);
    } catch (error) {
      giveBack(reservation, error);
      throw refusalOf(error, this.#definition, name);
    }
  }

  /**
   * Decides by what else is there. A refusal counts only if that is the latest, as in
   * {@link #decided}: the namespace may be there by now. To decide twice changes nothing.
   */
  async #asOfLatest<T>(decide: () => T): Promise<T> {
    const { store } = this.#options;
    const seen = store.revision;
    try {
      return decide();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await latestState(store);
      if (store.revision === seen) throw error;
      return decide();
    }
  }

  #writeOf(
    object: KubeObject,
    {
      old,
      scope,
      warn,
    }: Pick<WriteOptions, "warn"> & Pick<UpdateOptions, "scope"> & Pick<AdmittedWrite, "old">,
  ): AdmittedWrite {
    const { definition, lookup, tolerations: defaults } = this.#options;
    const write = { definition, object, lookup, defaults, scope: scope ?? "object" };
    return { ...write, warn: warn ?? (() => undefined), ...(old === undefined ? {} : { old }) };
  }

  async #createMissing(
    namespace: string,
    name: string,
    { createMissing, creates, scope, ...options }: UpdateOptions,
  ): Promise<UpdateResult> {
    const creatable = creates === "any-kind" || this.#traits.createdByUpdate;
    const allowed = creatable && (scope ?? "object") === "object";
    if (!allowed || createMissing === undefined) throw notFound(this.#definition, name);
    const object = createMissing();
    if ((object.metadata.resourceVersion ?? "") !== "") throw notFound(this.#definition, name);
    const stored = await this.create(namespace, object, options);
    return { stored, created: true };
  }

  async #tryUpdate(
    kv: KeyValue,
    { namespace, name, change, options, leader }: UpdateOf,
  ): Promise<StoredObject | "again"> {
    const { store, codec } = this.#options;
    const strategy = leader.strategyOf(this.#definition);
    const beats = holdsHeartbeats(this.#definition, namespace) ? leader.heartbeats : undefined;
    const current = beats?.view(kv) ?? codec.stored(kv);
    const old = current.object;
    const sent = change(beats === undefined ? codec.fresh(kv) : structuredClone(old));
    if (options.admission !== undefined) await options.admission.mutate(sent, old);
    const conditional = this.#assertCurrent(kv, name, sent, options);
    const next = this.#nextState(sent, old, options, strategy);
    if (next === undefined) return current;
    const renewed = options.dryRun === true ? undefined : beats?.renew(kv, next);
    if (renewed !== undefined) return renewed;
    judgeObject(this.#writeOf(next, { ...options, old }));
    if (options.admission !== undefined) await options.admission.validate(next, old);
    const reservation = this.#reserve(leader, next, old);
    try {
      if (options.dryRun === true) {
        reservation.rollback();
        next.metadata.resourceVersion = String(kv.modRevision);
        return codec.unstored(next, kv.modRevision);
      }
      if (isDoneDeleting(next, strategy)) return await this.#remove(kv, reservation, leader);
      const bytes = codec.encode(next);
      const put = await this.#put(leader, (how) =>
        store.update(kv.key, bytes, kv.modRevision, how),
      );
      reservation.commit();
      return codec.stored(put);
    } catch (error) {
      giveBack(reservation, error);
      // Only a write that names what it replaces has lost; another one starts from the new state.
      if (!conditional && isOvertaken(error)) return "again";
      throw refusalOf(error, this.#definition, name);
    }
  }

  /** Undefined when nothing changes. Throws 422 for what the kind does not allow. */
  #nextState(
    sent: KubeObject,
    old: Readonly<KubeObject>,
    options: UpdateOptions,
    strategy: Strategy,
  ): KubeObject | undefined {
    const scope = options.scope ?? "object";
    const next = applyScope(sent, old, scope, this.#traits);
    setOwners(next, old, options.trackOwners);
    strategy.prepareForUpdate?.(next, old, scope);
    next.metadata.resourceVersion = old.metadata.resourceVersion ?? "";
    if (jsonEquals(next, old) && !isDoneDeleting(next, strategy)) return undefined;
    // A pod's place is not what its author wants of it: Kubernetes does not count a binding.
    const counts = this.#traits.hasGeneration && scope !== "binding";
    if (counts && changesGeneration(next, old, this.#traits)) {
      next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    if (scope === "object" || scope === "status" || scope === "ephemeralcontainers") {
      const before = comparedWith(next, old, scope);
      this.#refuse(next.metadata.name ?? "", this.#definition.validateUpdate(next, before));
    }
    return next;
  }

  /** Checks what a write says it replaces; true when it says a resourceVersion. */
  #assertCurrent(
    kv: KeyValue,
    name: string,
    { metadata }: KubeObject,
    options: UpdateOptions,
  ): boolean {
    const version = metadata.resourceVersion ?? "";
    const conditional = version !== "" && version !== "0";
    if (conditional && version !== String(kv.modRevision)) throw conflict(this.#definition, name);
    if (!conditional && this.#traits.updatedConditionally && options.scope === undefined) {
      const why = "must be specified for an update";
      throw invalid(this.#definition, name, [invalidField("metadata.resourceVersion", 0, why)]);
    }
    const { uid } = this.#options.codec.stored(kv).object.metadata;
    if ((metadata.uid ?? "") !== "" && metadata.uid !== uid) {
      const why = `UID in precondition: ${metadata.uid}, UID in object meta: ${uid}`;
      throw conflict(this.#definition, name, `Precondition failed: ${why}`);
    }
    return conditional && options.retryConflicts !== true;
  }

  async #tryDelete(
    kv: KeyValue,
    name: string,
    request: DeleteRequest,
    leader: LeaderState,
  ): Promise<DeleteResult | "again"> {
    const { store, codec, clock } = this.#options;
    const strategy = leader.strategyOf(this.#definition);
    const current = codec.stored(kv);
    this.#assertPreconditions(current, name, request);
    strategy.assertDeletable?.(current.object);
    await request.admission?.validate(undefined, current.object);
    const plan = planDeletion(codec.fresh(kv), request, strategy, clock.now());
    if (plan.action === "wait") return { stored: current, removed: false };
    if (request.dryRun === true) return { stored: current, removed: plan.action === "remove" };
    try {
      if (plan.action === "remove") {
        return { stored: await this.#remove(kv, NO_RESERVATION, leader), removed: true };
      }
      const bytes = codec.encode(plan.object);
      const put = await this.#put(leader, (how) =>
        store.update(kv.key, bytes, kv.modRevision, how),
      );
      return { stored: codec.stored(put), removed: false };
    } catch (error) {
      if (isOvertaken(error)) return "again";
      throw refusalOf(error, this.#definition, name);
    }
  }

  async #remove(
    kv: KeyValue,
    reservation: Reservation,
    leader: LeaderState,
  ): Promise<StoredObject> {
    const { store, codec } = this.#options;
    const gone = await store.delete(kv.key, kv.modRevision, { term: leader.term });
    reservation.commit();
    const stored = codec.stored(gone);
    leader.strategyOf(this.#definition).removed?.(stored.object);
    return stored;
  }

  #assertPreconditions(stored: StoredObject, name: string, request: DeleteRequest): void {
    const { uid, resourceVersion } = request.preconditions ?? {};
    const { metadata } = stored.object;
    if (uid !== undefined && uid !== metadata.uid) {
      const why = `UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
      throw conflict(this.#definition, name, `Precondition failed: ${why}`);
    }
    if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
      const found = `ResourceVersion in object meta: ${metadata.resourceVersion}`;
      const why = `ResourceVersion in precondition: ${resourceVersion}, ${found}`;
      throw conflict(this.#definition, name, `Precondition failed: ${why}`);
    }
  }

  /** What quotas grant and the kind itself sets aside. Throws 403 and 422. */
  #reserve(
    leader: LeaderState,
    next: KubeObject,
    old: Readonly<KubeObject> | undefined,
  ): Reservation {
    const granted = leader.quotas.reserve(this.#definition, next, old);
    const reserved = leader.strategyOf(this.#definition).reserve?.(next, old);
    if (reserved === undefined) return granted;
    if (!Array.isArray(reserved)) return bothOf(granted, reserved);
    granted.rollback();
    throw invalid(this.#definition, next.metadata.name ?? "", reserved);
  }

  #refuse(name: string, errors: readonly FieldError[]): void {
    if (errors.length > 0) throw invalid(this.#definition, name, errors);
  }

  /** Writes an event with the lease it lives by; asks once more when the lease has just ended. */
  async #put(
    leader: LeaderState,
    write: (options: PutOptions) => Promise<KeyValue>,
  ): Promise<KeyValue> {
    const { term, eventLease } = leader;
    if (this.#definition.storage.resource !== "events") return write({ term });
    try {
      return await write({ term, lease: await eventLease.current() });
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "lease-missing") throw error;
      eventLease.forget();
      return write({ term, lease: await eventLease.current() });
    }
  }
}

/** Another write came first. */
function isOvertaken(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.code === "revision-mismatch" || error.code === "key-missing";
}

/** It was decided not to write; other errors leave that open, or say nothing of the object. */
function isRefusal(error: unknown): boolean {
  return isStatusError(error) && error.code < 500 && error.code !== 429;
}

/** What may have been written after all stays reserved: the next term counts anew. */
function giveBack(reservation: Reservation, error: unknown): void {
  const unknown = error instanceof StoreError && error.code === "unavailable";
  if (!unknown) reservation.rollback();
}
