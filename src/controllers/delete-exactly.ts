import type { KubeObject } from "../apimachinery/index.ts";
import { isNotFound } from "../client/index.ts";
import type { ResourceClient } from "../client/index.ts";

/**
 * Deletes this very object, not another that has got its name since. Gives false when it was gone
 * already, which is as good.
 */
export async function deleteExactly<T extends KubeObject>(
  collection: Pick<ResourceClient<T>, "delete">,
  { metadata: { name = "", uid = "" } }: KubeObject,
): Promise<boolean> {
  try {
    await collection.delete(name, { preconditions: { uid } });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
