import { schemaOf } from "../api/index.ts";
import {
  badRequest,
  DecodeError,
  decodeInto,
  isJsonObject,
  type KubeObject,
} from "../apimachinery/index.ts";
import type { FieldValidation } from "./object-intake.ts";
import { decodeBody } from "./request-body.ts";

/** A kind that is only ever sent, never stored: Binding, Eviction, Scale. */
export interface SentKind {
  readonly kind: string;
  readonly apiVersion: string;
  /** "autoscaling.v1.Scale" */
  readonly typeName: string;
}

/** What happens to fields that a kind does not have. */
export interface UnknownFields {
  readonly fieldValidation: FieldValidation;
  /** Collects what "Warn" has to say. */
  readonly warnings: string[];
}

const IGNORED: UnknownFields = { fieldValidation: "Ignore", warnings: [] };

/** Reads a body of a kind that is not a resource. Throws 400 for a body of another kind. */
export async function readTyped<T extends KubeObject>(
  request: Request,
  sent: SentKind,
  unknownFields: UnknownFields = IGNORED,
): Promise<T> {
  const { value } = await decodeBody(request, { duplicates: "ignore", expected: sent.kind });
  return asTyped<T>(value, sent, unknownFields);
}

/** Checks that a value is of the kind, and drops the fields that the kind does not have. */
export function asTyped<T extends KubeObject>(
  value: unknown,
  sent: SentKind,
  unknownFields: UnknownFields = IGNORED,
): T {
  if (!isJsonObject(value)) {
    throw badRequest(`the object provided is unrecognized (must be of type ${sent.kind})`);
  }
  const { kind = sent.kind, apiVersion = sent.apiVersion } = value;
  if (kind !== sent.kind) {
    const given = typeof kind === "string" ? kind : JSON.stringify(kind);
    throw badRequest(`the object provided is a ${given}, expected a ${sent.kind}`);
  }
  try {
    judge(decodeInto(schemaOf(sent.typeName), value), sent, unknownFields);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(error.message);
    throw error;
  }
  const metadata = isJsonObject(value["metadata"]) ? value["metadata"] : {};
  return { ...value, kind, apiVersion, metadata } as unknown as T;
}

function judge(
  unknown: readonly string[],
  { kind, apiVersion }: SentKind,
  { fieldValidation, warnings }: UnknownFields,
): void {
  if (unknown.length === 0) return;
  if (fieldValidation === "Strict") {
    const version = apiVersion.split("/").at(-1);
    const why = `strict decoding error: ${unknown.join(", ")}`;
    throw badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`);
  }
  // A patch that is applied again must not complain again.
  const fresh = unknown.filter((complaint) => !warnings.includes(complaint));
  if (fieldValidation === "Warn") warnings.push(...fresh);
}
