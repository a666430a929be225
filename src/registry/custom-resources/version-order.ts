const PATTERN = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const STABLE = 3;
const BETA = 2;
const ALPHA = 1;

/**
 * Orders versions as Kubernetes prefers them: v2 before v1 before v1beta2 before v1beta1 before
 * v1alpha1, and what is named in another way last, by the alphabet.
 */
export function compareVersions(a: string, b: string): number {
  const left = rankOf(a);
  const right = rankOf(b);
  if (left === undefined && right === undefined) return a < b ? -1 : a > b ? 1 : 0;
  if (left === undefined) return 1;
  if (right === undefined) return -1;
  for (const [index, rank] of left.entries()) {
    const difference = (right[index] ?? 0) - rank;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Stability, major and minor number. */
function rankOf(version: string): readonly number[] | undefined {
  const found = PATTERN.exec(version);
  if (found === null) return undefined;
  const [, major, stage, minor = "0"] = found;
  const stability = stage === undefined ? STABLE : stage === "beta" ? BETA : ALPHA;
  return [stability, Number(major), Number(minor)];
}
