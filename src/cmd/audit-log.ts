import { CommandError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { openRotatingFile } from "../os/index.ts";
import type { RotatingFile } from "../os/index.ts";
import type { Ground } from "./ground.ts";

const MEBIBYTE = 1024 * 1024;
/** As the flags say in `--help`. */
const DEFAULT_MEBIBYTES = 100;
const DEFAULT_FILES = 10;

/** The log of who did what, if there is to be one. Throws a CommandError when it cannot be. */
export async function openAuditLog(
  flags: Pick<ServerFlags, "auditLogPath" | "auditLogMaxsize" | "auditLogMaxbackup">,
  { clock, logger }: Pick<Ground, "clock" | "logger">,
): Promise<RotatingFile | undefined> {
  const { auditLogPath: path, auditLogMaxsize, auditLogMaxbackup } = flags;
  if (path === undefined) return undefined;
  const maxBytes = (auditLogMaxsize ?? DEFAULT_MEBIBYTES) * MEBIBYTE;
  const maxFiles = auditLogMaxbackup ?? DEFAULT_FILES;
  try {
    return await openRotatingFile({ path, maxBytes, maxFiles, clock, logger });
  } catch (error) {
    throw new CommandError(`--audit-log-path ${path} cannot be written: ${String(error)}`);
  }
}
