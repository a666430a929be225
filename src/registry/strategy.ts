import type { FieldError, KubeObject } from "../apimachinery/index.ts";
import type { WriteScope } from "./resource-registry.ts";

/**
 * What was set aside for an object before its write. One of the two is called, or neither when
 * nobody knows whether it was written: then it stays set aside until the next term.
 */
export interface Reservation {
  /** The write succeeded. */
  commit(): void;
  /** The write failed, or was only a rehearsal. */
  rollback(): void;
}

/** Two that stand or fall together. */
export function bothOf(first: Reservation, second: Reservation): Reservation {
  return {
    commit: () => {
      first.commit();
      second.commit();
    },
    rollback: () => {
      second.rollback();
      first.rollback();
    },
  };
}

/** What one kind does differently from all others when it is written. All parts are optional. */
export interface Strategy {
  /** After defaults and generic metadata, before admission and validation; mutates. */
  prepareForCreate?(object: KubeObject): void;
  /** After the scope of the write was applied; mutates `next` only. */
  prepareForUpdate?(next: KubeObject, old: Readonly<KubeObject>, scope: WriteScope): void;
  /** Rules that need more than the object: allocated addresses, for one. Mutates `next`. */
  reserve?(next: KubeObject, old: Readonly<KubeObject> | undefined): Reservation | FieldError[];
  /** The object is gone from the store. */
  removed?(object: Readonly<KubeObject>): void;
  /** Throws when an object must not be deleted. */
  assertDeletable?(object: Readonly<KubeObject>): void;
  /** What a DELETE changes before it is decided what it means; mutates. */
  prepareForDelete?(object: KubeObject, now: number): void;
  /** Seconds until a deletion takes effect; kinds without it are deleted at once. */
  gracePeriodSeconds?(object: Readonly<KubeObject>, requested: number | undefined): number;
  /** Something besides finalizers keeps a deleted object in place. */
  holds?(object: Readonly<KubeObject>): boolean;
  /** What changes in an object whose deletion begins; mutates. */
  beginDeletion?(object: KubeObject): void;
}

/** A field of an object as a record; empty when absent. Reads only: a write to it may be lost. */
export function part(object: Readonly<KubeObject>, field: string): Record<string, unknown> {
  const value = object[field];
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
