/**
 * What several sources tell, each in its own order, as it comes. Ends when all have ended; fails
 * with the first that fails. The sources are let go of when nobody reads any more.
 */
export async function* mergeEvents<T>(
  sources: readonly AsyncIterable<T>[],
): AsyncGenerator<T, void, undefined> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const ask = async (iterator: AsyncIterator<T>) => ({ iterator, result: await iterator.next() });
  const asked = new Map(iterators.map((iterator) => [iterator, ask(iterator)]));
  try {
    while (asked.size > 0) {
      const { iterator, result } = await Promise.race(asked.values());
      if (result.done === true) {
        asked.delete(iterator);
      } else {
        asked.set(iterator, ask(iterator));
        yield result.value;
      }
    }
  } finally {
    for (const [iterator, pending] of asked) {
      // Nobody waits for what it says from here on.
      pending.catch(() => undefined);
      void iterator.return?.()?.catch(() => undefined);
    }
  }
}
