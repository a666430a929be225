import { GuestError } from "../io/guest-error.ts";
import { fileErrorCode } from "../filesystem/file-error.ts";

/** `error` of wasi:blobstore/types: words. */
export class BlobError extends GuestError<string> {}

/** Runs an operation on files; what the system refuses becomes the guest's error about `what`. */
export function blobOperation<Result>(what: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof BlobError) throw error;
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    throw new BlobError(`${what}: ${code === "no-entry" ? "not found" : code}`);
  }
}
