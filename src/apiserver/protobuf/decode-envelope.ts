import { schemaOf, typeTable } from "../../api/index.ts";
import { badRequest, parseApiVersion, typeNameOfKind } from "../../apimachinery/index.ts";
import { bytesOf, decodeObject, fieldOf, textOf } from "./decode-object.ts";
import { WireError } from "./wire-reader.ts";

/** Every message starts with it. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];
const TYPE_META = 1;
const RAW = 2;

/**
 * Decodes a request body: the four bytes "k8s\0", then an envelope {1: {1: apiVersion, 2: kind},
 * 2: the object} in protobuf. Throws 400 for anything else and for kinds that are not served.
 */
export function decodeEnvelope(bytes: Uint8Array, expected: string): unknown {
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw unreadable(expected, "provided data does not appear to be a protobuf message");
  }
  try {
    const envelope = bytes.subarray(MAGIC.length);
    const typeMeta = bytesOf(fieldOf(envelope, TYPE_META));
    const apiVersion = textOf(fieldOf(typeMeta, 1));
    const kind = textOf(fieldOf(typeMeta, 2));
    const typeName = typeNameOf(apiVersion, kind);
    if (typeName === undefined) {
      throw unreadable(expected, `no kind "${kind}" is registered for version "${apiVersion}"`);
    }
    const object = decodeObject(schemaOf(typeName), bytesOf(fieldOf(envelope, RAW)));
    return { kind, apiVersion, ...object };
  } catch (error) {
    if (error instanceof WireError || error instanceof SyntaxError) {
      throw unreadable(expected, error.message);
    }
    throw error;
  }
}

function typeNameOf(apiVersion: string, kind: string): string | undefined {
  // The options of a deletion go by the group of what is deleted.
  if (kind === "DeleteOptions") return "apis.meta.v1.DeleteOptions";
  const groupVersion = parseApiVersion(apiVersion);
  if (groupVersion === undefined) return undefined;
  const typeName = typeNameOfKind({ ...groupVersion, kind });
  return Object.hasOwn(typeTable, typeName) ? typeName : undefined;
}

function unreadable(expected: string, why: string): Error {
  return badRequest(`the object provided is unrecognized (must be of type ${expected}): ${why}`);
}
