import { expect, test } from "bun:test";
import type * as machinery from "../../../apimachinery/index.ts";
import type * as meta from "./types.ts";

type Same<A, B> = [A, B] extends [B, A] ? true : false;

test("apimachinery's shapes of metadata and Status are the generated ones", () => {
  // Written twice, because api imports apimachinery and not the other way; tsc compares them here.
  const same: {
    ListMeta: Same<machinery.ListMeta, meta.ListMeta>;
    ManagedFieldsEntry: Same<machinery.ManagedFieldsEntry, meta.ManagedFieldsEntry>;
    ObjectMeta: Same<machinery.ObjectMeta, meta.ObjectMeta>;
    OwnerReference: Same<machinery.OwnerReference, meta.OwnerReference>;
    LabelSelector: Same<machinery.MetaLabelSelector, meta.LabelSelector>;
    Status: Same<machinery.Status, meta.Status>;
    StatusDetails: Same<machinery.StatusDetails, meta.StatusDetails>;
  } = {
    ListMeta: true,
    ManagedFieldsEntry: true,
    ObjectMeta: true,
    OwnerReference: true,
    LabelSelector: true,
    Status: true,
    StatusDetails: true,
  };
  expect(Object.values(same)).not.toContain(false);
});
