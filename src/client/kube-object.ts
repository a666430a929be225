import type { KubeObject } from "../apimachinery/index.ts";

/** `namespace/name`, or `name` for what is cluster-wide: the key of caches and work queues. */
export function keyOf(object: KubeObject): string {
  return objectKey(object.metadata.namespace, object.metadata.name ?? "");
}

/** The key of what {@link keyOf} would see, from its parts. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

/** Takes a key of {@link keyOf} apart; the namespace is `""` for what is cluster-wide. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0
    ? { namespace: "", name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
