/** Thrown to answer the guest with `err(payload)`; generated code takes the own property. */
export class GuestError<Payload = unknown> extends Error {
  override readonly name = "GuestError";
  readonly payload: Payload;

  constructor(payload: Payload) {
    super(typeof payload === "string" ? payload : "an error of the interface");
    this.payload = payload;
  }
}

/** Thrown to end the guest: it broke a rule that the interfaces answer with a trap. */
export class GuestTrap extends WebAssembly.RuntimeError {
  override readonly name = "GuestTrap";
}

/** A function of type `result` without payloads that fails. */
export function plainFailure(): GuestError<undefined> {
  return new GuestError(undefined);
}
