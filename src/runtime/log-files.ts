/** Rotated files that are kept beside the one being written: five in all, as a kubelet keeps. */
export const ROTATED_LOG_FILES = 4;

/** The files that one log may have, the oldest first; the last is being written. */
export function logFiles(path: string): string[] {
  const rotated = Array.from(
    { length: ROTATED_LOG_FILES },
    (_, index) => `${path}.${ROTATED_LOG_FILES - index}`,
  );
  return [...rotated, path];
}
