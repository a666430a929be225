import type { KubeObject } from "../apimachinery/index.ts";
import type { InformerHandler } from "../client/index.ts";

/**
 * A handler that looks at each object that comes, changes or goes. Where `moved` says that a change
 * took the object from one owner to another, it looks at what the object was, too: both owners have
 * something to do.
 */
export function everyChange<T extends KubeObject>(
  look: (object: T) => void,
  moved: (old: T, next: T) => boolean = () => false,
): InformerHandler<T> {
  return {
    onAdd: look,
    onUpdate: (old, next) => {
      if (moved(old, next)) look(old);
      look(next);
    },
    onDelete: look,
  };
}
