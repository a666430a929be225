/**
 * What can go wrong with an image, as a closed set that the node agent maps to its waiting reasons:
 * `invalid-reference` becomes InvalidImageName, the others ErrImagePull with the message.
 */
export type ImageErrorCode =
  | "not-found"
  | "unreachable"
  | "unauthorized"
  | "invalid-reference"
  | "digest-mismatch"
  | "unsupported"
  | "too-large"
  | "overloaded"
  | "cancelled";

/** An operational failure around images; the message is fit to be shown to the user of a pod. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
