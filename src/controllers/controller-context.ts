import { createEventRecorder } from "../client/index.ts";
import type { Client, EventRecorder, SharedInformers } from "../client/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";

/** What every controller gets: the way to the API, the shared caches, time and a place to log. */
export interface ControllerContext {
  readonly client: Client;
  readonly informers: SharedInformers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Ends the controller. */
  readonly signal: AbortSignal;
}

/** A recorder that speaks as this controller. */
export function recorderFor(context: ControllerContext, component: string): EventRecorder {
  const { client, clock, random, logger } = context;
  return createEventRecorder({ client, clock, random, logger, component });
}
