import { GuestTrap } from "./guest-error.ts";
import type { InstanceScope, Owned } from "./instance-scope.ts";

/**
 * What a guest holds a handle of. Generated code calls `[Symbol.dispose]` when the guest drops an
 * owned handle. A resource with children (a pollable of a stream, the stream of a body) must
 * outlive them: dropping it before is a trap.
 */
export abstract class Resource implements Owned {
  readonly scope: InstanceScope;
  readonly #parent: Resource | undefined;
  #children = 0;
  #live = true;

  constructor(scope: InstanceScope, parent?: Resource) {
    this.scope = scope;
    scope.adopt(this);
    this.#parent = parent;
    if (parent !== undefined) parent.#children++;
  }

  get live(): boolean {
    return this.#live;
  }

  /** The guest drops it. */
  [Symbol.dispose](): void {
    if (!this.#live) return;
    this.#refuseChildren("dropped");
    this.end();
  }

  /** The guest gives it to the host, which takes what is in it: nothing is released. */
  surrender(): void {
    this.#refuseChildren("given away");
    this.#retire();
  }

  /** Ends it, children or not. */
  end(): void {
    if (!this.#live) return;
    this.#retire();
    this.released();
  }

  /** Lets go of what stands behind it; called once, unless it was surrendered. */
  protected released(): void {}

  #retire(): void {
    if (!this.#live) throw new GuestTrap(`${this.constructor.name} was given away before`);
    this.#live = false;
    this.scope.release(this);
    if (this.#parent !== undefined) this.#parent.#children--;
  }

  #refuseChildren(what: string): void {
    if (this.#children === 0) return;
    const name = this.constructor.name;
    throw new GuestTrap(`${name} was ${what} while ${this.#children} of its children are alive`);
  }
}

/**
 * A class that guests make no objects of by `new`, with static functions of one instance. Objects
 * of the base are of this class, so that generated code's `instanceof` holds.
 */
export function classWithStatics<Statics extends object>(
  base: { readonly prototype: object; readonly name: string },
  statics: Statics,
): Statics {
  const scoped = function (): never {
    throw new TypeError(`${base.name} has no constructor`);
  };
  scoped.prototype = base.prototype;
  return Object.assign(scoped, statics);
}

/**
 * The class as one instance sees it: `new` of it hands the scope over. Objects of both are of the
 * same class, so that generated code's `instanceof` holds.
 */
export function scopedClass<Args extends readonly unknown[], Made extends object>(
  base: { new (scope: InstanceScope, ...args: Args): Made; readonly prototype: Made },
  scope: InstanceScope,
  statics: Readonly<Record<string, unknown>> = {},
): new (...args: Args) => Made {
  const scoped = function (...args: Args): Made {
    return new base(scope, ...args);
  };
  Object.assign(scoped, statics);
  scoped.prototype = base.prototype;
  return scoped as unknown as new (...args: Args) => Made;
}
