/** A tree that takes longer to walk is tried again at the next interval. */
export const MEASURE_TIMEOUT_MS = 30_000;
const BLOCK_BYTES = 1024;

/**
 * Bytes that directories take on the disk, in the order given; undefined for one that is not there.
 * `du` walks them in a process of its own: no tree, however large, holds up the node. A file with
 * two names counts once, links are not followed, other file systems are left out.
 */
export async function diskUsage(
  directories: readonly string[],
  signal: AbortSignal,
): Promise<(number | undefined)[]> {
  if (directories.length === 0) return [];
  const walk = Bun.spawn({
    cmd: ["du", "-s", "-k", "-x", "--", ...directories],
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    stdio: ["ignore", "pipe", "ignore"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(MEASURE_TIMEOUT_MS)]),
    killSignal: "SIGKILL",
  });
  const text = await new Response(walk.stdout).text();
  await walk.exited;
  if (walk.signalCode !== null) throw new Error(`du was ended by ${walk.signalCode}`);
  const found = new Map(
    text.split("\n").map((line) => {
      const [blocks = "", ...path] = line.split("\t");
      return [path.join("\t"), Number(blocks) * BLOCK_BYTES] as const;
    }),
  );
  return directories.map((directory) => found.get(directory));
}
