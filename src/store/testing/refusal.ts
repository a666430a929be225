/** What a promise was rejected with; a sentence when it was not. */
export function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "it was not refused",
    (error: unknown) => error,
  );
}
