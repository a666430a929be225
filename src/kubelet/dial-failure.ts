/** A refused connection in the words that people look for; everything else as it was told. */
export function dialFailure(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const refused = ["ConnectionRefused", "ECONNREFUSED", "ENOENT", "FailedToOpenSocket"];
  // A socket file that is not there is a port on which nobody listens.
  if (code !== undefined && refused.includes(code)) return "connect: connection refused";
  return message;
}
