import type { Registry } from "../registry/index.ts";
import type { Logger } from "../lib/index.ts";

export interface BootstrapOptions {
  readonly registry: Registry;
  readonly logger: Logger;
  /** Where the API server itself is reached from nodes: the endpoint of the kubernetes Service. */
  readonly advertiseAddress: string;
  readonly advertisePort: number;
}

/** Creates what every cluster has and is missing here. Safe to run at every start. */
export async function bootstrap(_options: BootstrapOptions): Promise<void> {
  await Promise.resolve();
}
