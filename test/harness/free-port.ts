const FIRST_PORT = 12_000;
/** Below the ports that the kernel gives to connections and NodePort to Services. */
const LAST_PORT = 29_999;
const MAX_TRIES = 100;

/**
 * A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot pick one. Not one
 * that the kernel would give to somebody else before the program listens on it.
 */
export function freePort(): number {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (isFree(port)) return port;
  }
  throw new Error(`of ${MAX_TRIES} ports from ${FIRST_PORT} to ${LAST_PORT} none is free`);
}

function isFree(port: number): boolean {
  try {
    const socket = { data: () => undefined };
    Bun.listen({ hostname: "127.0.0.1", port, socket }).stop(true);
    return true;
  } catch {
    return false; // Taken.
  }
}
