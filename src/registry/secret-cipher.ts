import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { ResourceDefinition } from "../api/index.ts";
import type { Random } from "../lib/index.ts";
import type { Store } from "../store/index.ts";
import { resourcePrefix } from "./storage-key.ts";

const ALGORITHM = "aes-256-gcm";
/** An object as plain text starts with a brace. */
const MARK = "kubun:sealed:aes256gcm:v1:";
const KEY_ID_CHARACTERS = 8;
const HEAD_BYTES = MARK.length + KEY_ID_CHARACTERS + 1;
/** NIST SP 800-38D, sections 5.2.1.1 and 5.2.1.2: what fits the cipher without a hash. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SECRETS = { group: "", resource: "secrets" };

/** A Secret that was stored under a key which is not here. */
export class SealedError extends Error {
  override readonly name = "SealedError";
}

/**
 * What Secrets are stored as: the whole object encrypted, since annotations repeat what data says.
 *
 *     kubun:sealed:aes256gcm:v1:1a2b3c4d: nonce (12 bytes) ciphertext tag (16 bytes)
 *
 * The storage key is authenticated with it: a value that was moved to another name opens nothing.
 */
export class SecretCipher {
  readonly #key: Uint8Array;
  readonly #random: Random;
  readonly #head: Buffer;

  /** Of 32 bytes that all servers of the cluster have alike. */
  constructor(key: Uint8Array, random: Random) {
    this.#key = key;
    this.#random = random;
    const id = createHash("sha256").update("key id").update(key).digest("hex");
    this.#head = Buffer.from(`${MARK}${id.slice(0, KEY_ID_CHARACTERS)}:`);
  }

  seal(plain: Uint8Array, storageKey: string): Uint8Array {
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(Buffer.from(storageKey));
    const sealed = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    return new Uint8Array(Buffer.concat([this.#head, nonce, ...sealed]));
  }

  /** The plain bytes; those of a value from before there was a key too. Throws SealedError. */
  open(value: Uint8Array, storageKey: string): Uint8Array {
    if (!isSealed(value)) return value;
    if (Buffer.compare(value.subarray(0, HEAD_BYTES), this.#head) !== 0) {
      throw new SealedError(`${storageKey} was encrypted with another cluster's key`);
    }
    const nonce = value.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce)
      .setAAD(Buffer.from(storageKey))
      .setAuthTag(value.subarray(-TAG_BYTES));
    try {
      const plain = decipher.update(value.subarray(HEAD_BYTES + NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([plain, decipher.final()]);
    } catch (error) {
      throw new SealedError(`${storageKey} is not what was encrypted`, { cause: error });
    }
  }
}

/** Whether a value needs a key to be read. */
export function isSealed(value: Uint8Array): boolean {
  return value.length > HEAD_BYTES && Buffer.from(MARK).equals(value.subarray(0, MARK.length));
}

/** Whether objects of a kind are stored encrypted. */
export function holdsSecrets({ storage }: ResourceDefinition): boolean {
  return storage.group === SECRETS.group && storage.resource === SECRETS.resource;
}

/** Throws SealedError when the store's Secrets were written with another key. */
export function assertReadable(store: Pick<Store, "list">, cipher: SecretCipher): void {
  for (const { key, value } of store.list(resourcePrefix(SECRETS), { limit: 1 })) {
    cipher.open(value, key);
  }
}
