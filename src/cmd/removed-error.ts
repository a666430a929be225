import { CommandError } from "../cli/index.ts";
import type { MemberId } from "../store/index.ts";

/** This server is a member no more, and never again: nobody will look after its pods. */
export class RemovedError extends CommandError {
  constructor(memberId: MemberId) {
    super(
      `this server (member ${memberId}) was removed from its cluster and takes part in it no ` +
        "more: to join again, start it with --join and a new --data-dir",
    );
  }
}
