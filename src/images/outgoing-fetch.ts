import type { Fetch } from "../lib/index.ts";

/**
 * How other registries are reached. Under Bun, `undici` is Bun's own client by undici's names
 * (docs/adr/0004 tells what the package itself would cost). It is loaded with the first pull from
 * elsewhere, because even the names take 5 MB; and since the package's types describe the classes
 * of the platform in words of their own, the cast.
 */
export const outgoingFetch: Fetch = async (request) => {
  const { fetch } = await import("undici");
  return (fetch as unknown as Fetch)(request);
};
