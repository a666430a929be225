/**
 * Does one of several things that must not keep each other from being done. What cannot be done, on
 * a full disk for example, is said in the file that the worker's standard error goes to.
 */
export function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
  }
}
