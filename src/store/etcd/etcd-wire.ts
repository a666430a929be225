import { Buffer } from "node:buffer";
import type { KeyValue, LeaseId, Revision } from "../../mvcc/index.ts";

/** Numbers of 64 bits are texts, and what is zero is left out (proto3's JSON). */
export interface EtcdKeyValue {
  readonly key: string;
  readonly value?: string;
  readonly create_revision?: string;
  readonly mod_revision?: string;
  readonly version?: string;
  readonly lease?: string;
}

export interface EtcdHeader {
  readonly revision?: string;
}

export interface EtcdRange {
  readonly header?: EtcdHeader;
  readonly kvs?: readonly EtcdKeyValue[];
  readonly more?: boolean;
}

export interface EtcdTxn {
  readonly header?: EtcdHeader;
  readonly succeeded?: boolean;
  readonly responses?: readonly {
    readonly response_range?: EtcdRange;
    readonly response_delete_range?: { readonly prev_kvs?: readonly EtcdKeyValue[] };
  }[];
}

export interface EtcdEvent {
  /** Absent for a put. */
  readonly type?: "DELETE";
  readonly kv?: EtcdKeyValue;
  readonly prev_kv?: EtcdKeyValue;
}

export interface EtcdWatch {
  readonly header?: EtcdHeader;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compact_revision?: string;
  readonly cancel_reason?: string;
  /** More of the same revisions follows. */
  readonly fragment?: boolean;
  readonly events?: readonly EtcdEvent[];
}

/** The first key there can be; as an end it means: without end. */
export const FIRST_KEY = "AA==";

export function encodeText(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

export function encodeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

export function decodeText(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}

/** The first key behind all that begin with this text; "a/" → "a0". */
export function endOfPrefix(prefix: string): string {
  const bytes = Buffer.from(prefix, "utf8");
  // The last byte of UTF-8 is never 255.
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  return bytes.toString("base64");
}

/** The first key behind this one. */
export function keyBehind(key: string): string {
  return Buffer.concat([Buffer.from(key, "utf8"), Buffer.of(0)]).toString("base64");
}

export function revisionOf(header: EtcdHeader | undefined): Revision {
  return Number(header?.revision ?? 0) as Revision;
}

/** Etcd's record under the name that the store has for it. */
export function keyValueOf(key: string, raw: EtcdKeyValue): KeyValue {
  const lease = Number(raw.lease ?? 0) as LeaseId;
  return {
    key,
    value: new Uint8Array(Buffer.from(raw.value ?? "", "base64")),
    createRevision: Number(raw.create_revision ?? 0) as Revision,
    modRevision: Number(raw.mod_revision ?? 0) as Revision,
    version: Number(raw.version ?? 0),
    ...(lease === 0 ? {} : { lease }),
  };
}
