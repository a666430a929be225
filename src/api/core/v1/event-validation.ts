import { type FieldError, FieldPath, invalidField } from "../../../apimachinery/index.ts";
import type { Event } from "./types.ts";

const MAX_MESSAGE_BYTES = 1024;
const MAX_REASON_BYTES = 128;
/** Where events about objects without a namespace are kept. */
const CLUSTER_SCOPED_HOME = ["default", "kube-system"];

/** An event lives beside what it is about. The older client sends less than events.k8s.io asks. */
export function validateEvent(event: Event): FieldError[] {
  const errors: FieldError[] = [];
  const namespace = event.metadata.namespace ?? "";
  const about = event.involvedObject?.namespace ?? "";
  const fits = about === "" ? CLUSTER_SCOPED_HOME.includes(namespace) : about === namespace;
  if (!fits) {
    const path = FieldPath.root("involvedObject", "namespace");
    errors.push(invalidField(path, about, "does not match event.namespace"));
  }
  return errors;
}

/** The stricter rules of events.k8s.io, in the words of the core form. */
export function validateNewEvent(event: Event): FieldError[] {
  const errors = validateEvent(event);
  for (const [field, max] of [
    ["reason", MAX_REASON_BYTES],
    ["message", MAX_MESSAGE_BYTES],
  ] as const) {
    const text = event[field] ?? "";
    if (Buffer.byteLength(text) <= max) continue;
    const name = field === "message" ? "note" : field;
    errors.push(invalidField(FieldPath.root(name), "", `can have at most ${max} characters`));
  }
  return errors;
}
