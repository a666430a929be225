import { MAX_CONNECTIONS, RECEIVE_BUDGET } from "./connection.ts";
import { MAX_DESCRIPTORS } from "./descriptor-table.ts";

/** What one guest may take of its process. */
export interface GuestLimits {
  /** Open at once; the next answers EMFILE. */
  readonly descriptors: number;
  /** Connections open at once, those not accepted yet included; one more is reset. */
  readonly connections: number;
  /** Bytes its connections hold together before all of them stop reading. */
  readonly receiveBytes: number;
}

/** For a guest that has its process for itself. */
export const SOLE_GUEST_LIMITS: GuestLimits = {
  descriptors: MAX_DESCRIPTORS,
  connections: MAX_CONNECTIONS,
  receiveBytes: RECEIVE_BUDGET,
};
