/** Why a container could not be started: becomes its waiting reason and message. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  /** `ErrImagePull`, `CreateContainerConfigError`, … */
  readonly reason: string;
  /** When another attempt makes sense, if nothing changes before. */
  readonly retryAfterMs: number;

  constructor(
    reason: string,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs: number },
  ) {
    super(message, options);
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}
