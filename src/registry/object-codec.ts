import { findKind, type ResourceDefinition } from "../api/index.ts";
import { apiVersionOf, type KubeObject } from "../apimachinery/index.ts";
import { assert } from "../lib/index.ts";
import type { KeyValue, Revision } from "../store/index.ts";
import type { SecretCipher } from "./secret-cipher.ts";
import { objectKey } from "./storage-key.ts";

/**
 * One state of one object. Shared by everyone who reads it, and the same instance as long as the
 * object does not change, so that callers may memoise what they make of it in a WeakMap.
 */
export interface StoredObject {
  readonly revision: Revision;
  /** Decoded, with its resourceVersion. Must not be changed. */
  readonly object: Readonly<KubeObject>;
  /** The object as JSON text, with its resourceVersion. */
  json(): string;
  /** The same without kind and apiVersion, which a list says once for all its items. */
  itemJson(): string;
  /** The bytes of {@link itemJson}, where they lie. */
  itemBytes(): ItemBytes;
}

/** The head, which is ASCII, and then what is stored from a place on. */
export interface ItemBytes {
  readonly head: string;
  readonly stored: Uint8Array;
  readonly from: number;
}

/**
 * Turns objects into stored bytes and back.
 *
 * Stored JSON starts with `{"kind":…,"apiVersion":…,"metadata":{` in exactly this order and has no
 * resourceVersion. The text a client sees is therefore the stored text with
 * `"resourceVersion":"7",` put in at a known place: a list of 10,000 objects parses nothing, and
 * does not even make texts of its objects' bytes.
 */
export class ObjectCodec {
  readonly #definition: ResourceDefinition;
  readonly #storedHead: string;
  readonly #storedHeadBytes: Uint8Array;
  /** What clients of this version see; stored objects of other versions start differently. */
  readonly #servedHead: string;
  readonly #stored = new WeakMap<KeyValue, StoredObject>();
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  /** Given for kinds that are stored encrypted. */
  readonly #cipher: SecretCipher | undefined;
  /** What was decrypted once; empty for other kinds. */
  readonly #opened = new WeakMap<KeyValue, string>();

  constructor(definition: ResourceDefinition, cipher?: SecretCipher) {
    this.#definition = definition;
    this.#cipher = cipher;
    const { kind, apiVersion } = storedType(definition);
    this.#storedHead = headOf(kind, apiVersion);
    this.#storedHeadBytes = this.#encoder.encode(this.#storedHead);
    this.#servedHead =
      definition.custom === undefined
        ? this.#storedHead
        : headOf(definition.kind, apiVersionOf(definition));
  }

  /** The bytes to store; the object itself stays as it is. */
  encode(object: KubeObject): Uint8Array {
    const { toStorage } = this.#definition;
    const {
      kind: _kind,
      apiVersion: _version,
      metadata,
      ...fields
    } = toStorage?.(object) ?? object;
    const { resourceVersion: _resourceVersion, ...stored } = metadata;
    const head = this.#storedHead + JSON.stringify(stored).slice(1);
    const rest = JSON.stringify(fields);
    const bytes = this.#encoder.encode(rest === "{}" ? `${head}}` : `${head},${rest.slice(1)}`);
    if (this.#cipher === undefined) return bytes;
    const { namespace = "", name = "" } = metadata;
    return this.#cipher.seal(bytes, objectKey(this.#definition, namespace, name));
  }

  /** What a key holds, decoded at most once. */
  stored(kv: KeyValue): StoredObject {
    const known = this.#stored.get(kv);
    if (known !== undefined) return known;
    const stored = new DecodedLazily(this, kv, kv.modRevision);
    this.#stored.set(kv, stored);
    return stored;
  }

  /** What a key held, as of another revision: how an object that left a selection is shown. */
  storedAs(kv: KeyValue, revision: Revision): StoredObject {
    return revision === kv.modRevision ? this.stored(kv) : new DecodedLazily(this, kv, revision);
  }

  /** An object that no key holds: the answer to a dry run. */
  unstored(object: KubeObject, revision: Revision): StoredObject {
    return {
      revision,
      object,
      json: () => JSON.stringify(object),
      itemJson: () => itemText(object),
      itemBytes: () => bytesOf(itemText(object)),
    };
  }

  /** A copy of the caller's own. */
  fresh(kv: KeyValue, revision: Revision = kv.modRevision): KubeObject {
    const object = JSON.parse(this.#storedJson(kv, revision)) as KubeObject;
    return this.#definition.fromStorage?.(object) ?? object;
  }

  json(kv: KeyValue, revision: Revision): string {
    return this.#definition.fromStorage === undefined
      ? this.#storedJson(kv, revision)
      : JSON.stringify(this.stored(kv).object);
  }

  itemJson(kv: KeyValue, revision: Revision): string {
    return this.#definition.fromStorage === undefined
      ? this.#withHead(ITEM_HEAD, kv, revision)
      : itemText(this.stored(kv).object);
  }

  itemBytes(kv: KeyValue, revision: Revision): ItemBytes {
    const head = this.#storedHeadBytes;
    const { value: stored } = kv;
    const plain = this.#definition.fromStorage === undefined && this.#cipher === undefined;
    if (!plain || !startsWith(stored, head)) return bytesOf(this.itemJson(kv, revision));
    return { head: `${ITEM_HEAD}"resourceVersion":"${revision}",`, stored, from: head.length };
  }

  #storedJson(kv: KeyValue, revision: Revision): string {
    return this.#withHead(this.#servedHead, kv, revision);
  }

  /** The stored text with its revision, and with another head than the stored one. */
  #withHead(head: string, kv: KeyValue, revision: Revision): string {
    const text = this.#text(kv);
    const rest = text.slice(this.#headLength(text, kv.key));
    return `${head}"resourceVersion":"${revision}",${rest}`;
  }

  #text(kv: KeyValue): string {
    const cipher = this.#cipher;
    if (cipher === undefined) return this.#decoder.decode(kv.value);
    const known = this.#opened.get(kv);
    if (known !== undefined) return known;
    const text = this.#decoder.decode(cipher.open(kv.value, kv.key));
    this.#opened.set(kv, text);
    return text;
  }

  /** Objects of a custom resource may be stored in a version that was the stored one before. */
  #headLength(text: string, key: string): number {
    const storedHead = this.#storedHead;
    if (text.startsWith(storedHead)) return storedHead.length;
    const end = this.#definition.custom === undefined ? -1 : text.indexOf(METADATA);
    assert(end > 0, `${key} does not start with ${storedHead}`);
    return end + METADATA.length;
  }
}

const METADATA = ',"metadata":{';
const ITEM_HEAD = '{"metadata":{';

function bytesOf(text: string): ItemBytes {
  return { head: "", stored: Buffer.from(text), from: 0 };
}

function startsWith(bytes: Uint8Array, head: Uint8Array): boolean {
  for (let at = 0; at < head.length; at++) if (bytes[at] !== head[at]) return false;
  return true;
}

function headOf(kind: string, apiVersion: string): string {
  return `{"kind":"${kind}","apiVersion":"${apiVersion}"${METADATA}`;
}

class DecodedLazily implements StoredObject {
  readonly revision: Revision;
  readonly #codec: ObjectCodec;
  readonly #kv: KeyValue;
  #object: KubeObject | undefined;

  constructor(codec: ObjectCodec, kv: KeyValue, revision: Revision) {
    this.#codec = codec;
    this.#kv = kv;
    this.revision = revision;
  }

  get object(): KubeObject {
    this.#object ??= this.#codec.fresh(this.#kv, this.revision);
    return this.#object;
  }

  json(): string {
    return this.#codec.json(this.#kv, this.revision);
  }

  itemJson(): string {
    return this.#codec.itemJson(this.#kv, this.revision);
  }

  itemBytes(): ItemBytes {
    return this.#codec.itemBytes(this.#kv, this.revision);
  }
}

function itemText(object: Readonly<KubeObject>): string {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = object;
  return JSON.stringify(fields);
}

/** Kinds that share another kind's storage are stored as that one. */
function storedType(definition: ResourceDefinition): { kind: string; apiVersion: string } {
  const { storage, group, kind, custom } = definition;
  if (custom !== undefined) {
    return { kind, apiVersion: apiVersionOf({ group, version: custom.storedVersion }) };
  }
  if (definition.toStorage === undefined) return { kind, apiVersion: apiVersionOf(definition) };
  const version = storage.group === group ? storedVersion(definition) : "v1";
  return { kind, apiVersion: apiVersionOf({ group: storage.group, version }) };
}

/** Of the versions of one group, the one that needs no conversion is the stored one. */
function storedVersion(definition: ResourceDefinition): string {
  for (const version of ["v1", "v2"]) {
    const candidate = findKind(definition.group, version, definition.kind);
    if (candidate !== undefined && candidate.toStorage === undefined) return version;
  }
  return definition.version;
}
