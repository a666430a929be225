/** What is wrong with a value of a built-in type, in the words of Go's JSON decoder. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** A value of the wrong type, before it is known where: the decoder adds that. */
export class TypeMismatch extends Error {
  override readonly name = "TypeMismatch";
  readonly value: unknown;
  readonly goType: string;
  /** Reported without the field: the type reads its own JSON. */
  readonly isStandalone: boolean;

  constructor(value: unknown, goType: string, options: { isStandalone?: boolean } = {}) {
    super(goType);
    this.value = value;
    this.goType = goType;
    this.isStandalone = options.isStandalone ?? false;
  }
}
