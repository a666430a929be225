import { describe, expect, test } from "bun:test";
import type * as api from "../api/index.ts";
import type {
  ListMeta,
  ManagedFieldsEntry,
  MetaLabelSelector,
  ObjectMeta,
  OwnerReference,
  Status,
} from "./meta.ts";

/** True when each type can stand in for the other. */
type Same<A, B> = [A, B] extends [B, A] ? true : false;

describe("meta", () => {
  test("ObjectMeta and its neighbours: are the generated types of apis.meta.v1", () => {
    const same: readonly true[] = [
      true satisfies Same<ObjectMeta, api.ObjectMeta>,
      true satisfies Same<ListMeta, api.ListMeta>,
      true satisfies Same<OwnerReference, api.OwnerReference>,
      true satisfies Same<ManagedFieldsEntry, api.ManagedFieldsEntry>,
      true satisfies Same<MetaLabelSelector, api.LabelSelector>,
      true satisfies Same<Status, api.Status>,
    ];
    expect(same.every(Boolean)).toBe(true);
  });
});
