import type { ApiResource, ResourceDefinition } from "../api/index.ts";
import { findResource } from "../api/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { assert } from "../lib/index.ts";
import type { Store } from "../store/index.ts";
import { ObjectCodec } from "./object-codec.ts";
import { holdsSecrets, type SecretCipher } from "./secret-cipher.ts";
import { namespacePrefix, objectKey } from "./storage-key.ts";

/** Reads objects of any kind from memory, decoded once for everyone. */
export class Lookup {
  readonly #store: Store;
  /** By identity: what a definition that changed was made into goes with it. */
  readonly #codecs = new WeakMap<ResourceDefinition, ObjectCodec>();

  readonly #cipher: SecretCipher | undefined;

  constructor(store: Store, cipher?: SecretCipher) {
    this.#store = store;
    this.#cipher = cipher;
  }

  codec(definition: ResourceDefinition): ObjectCodec {
    let codec = this.#codecs.get(definition);
    if (codec === undefined) {
      codec = new ObjectCodec(definition, holdsSecrets(definition) ? this.#cipher : undefined);
      this.#codecs.set(definition, codec);
    }
    return codec;
  }

  /** The object as it is now; must not be changed. */
  find<T extends KubeObject>(
    resource: ApiResource<T>,
    namespace: string,
    name: string,
  ): Readonly<T> | undefined {
    const definition = definitionOf(resource);
    const kv = this.#store.get(objectKey(definition, namespace, name));
    return kv === undefined ? undefined : (this.codec(definition).stored(kv).object as T);
  }

  /**
   * Every object of a namespace, or of all with "". With `holding`, only those in whose JSON text
   * it occurs: the others are not decoded. Callers still look at what they get.
   */
  all<T extends KubeObject>(
    resource: ApiResource<T>,
    namespace: string,
    { holding }: { readonly holding?: string } = {},
  ): Readonly<T>[] {
    const definition = definitionOf(resource);
    const codec = this.codec(definition);
    const kvs = this.#store.list(namespacePrefix(definition, namespace));
    const needle = holding === undefined ? undefined : Buffer.from(holding);
    const some = needle === undefined ? kvs : kvs.filter(({ value }) => holds(value, needle));
    return some.map((kv) => codec.stored(kv).object as T);
  }
}

function holds(value: Uint8Array, needle: Buffer): boolean {
  // Without a Buffer of its own for each value: that would cost ten times the search.
  return Buffer.prototype.includes.call(value, needle);
}

/** The definition behind a constant such as PODS. */
export function definitionOf(resource: ApiResource<KubeObject>): ResourceDefinition {
  const { group, version } = resource;
  const definition = findResource(group, version, resource.resource);
  assert(definition !== undefined, `${resource.resource} of ${group}/${version} is served`);
  return definition;
}
