import type { Container } from "../api/index.ts";
import type { ContainerStatus } from "../runtime/index.ts";
import { tailOfLog } from "./log-tail.ts";

/** Kubernetes' bounds for a message taken from a log. */
const MAX_LINES = 80;
const MAX_BYTES = 2048;

/** The last words of a container that failed, when its policy takes them from the log. */
export async function terminationMessage(
  container: Container,
  status: ContainerStatus,
): Promise<string | undefined> {
  if (container.terminationMessagePolicy !== "FallbackToLogsOnError") return undefined;
  if (status.state !== "exited" || status.exitCode === 0) return undefined;
  const lines = await tailOfLog(status.logPath, MAX_LINES);
  const text = lines.join("");
  return text === "" ? undefined : text.slice(-MAX_BYTES);
}
