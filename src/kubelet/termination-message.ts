import type { Container } from "../api/index.ts";
import type { ContainerStatus } from "../runtime/index.ts";
import { terminationFile } from "./pod-files.ts";
import { tailOfLog } from "./log-tail.ts";

/** Kubernetes' bounds for a message taken from a log. */
const MAX_LINES = 80;
const MAX_BYTES = 2048;

/** What is taken of the file that a container leaves its last words in. */
const MAX_FILE_BYTES = 4096;

/** The last words of a container that ended: those it wrote, or where that is asked for its log. */
export async function terminationMessage(
  container: Container,
  status: ContainerStatus,
  podDirectory: string,
): Promise<string | undefined> {
  if (status.state !== "exited") return undefined;
  const file = Bun.file(terminationFile(podDirectory, status.name, status.attempt));
  if (file.size > 0) return file.slice(0, MAX_FILE_BYTES).text();
  if (container.terminationMessagePolicy !== "FallbackToLogsOnError") return undefined;
  if (status.exitCode === 0) return undefined;
  const lines = await tailOfLog(status.logPath, MAX_LINES);
  const text = lines.join("");
  return text === "" ? undefined : text.slice(-MAX_BYTES);
}
