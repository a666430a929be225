declare const brand: unique symbol;

/** A primitive that must not be mixed up with another of the same shape (`Revision`, `Term`). */
export type Brand<Primitive, Name extends string> = Primitive & { readonly [brand]: Name };
