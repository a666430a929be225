/** One line of a log file in the CRI's format: `<RFC 3339 nano> stdout F text`. */
export interface CriLogLine {
  /** As it stands in the file. */
  readonly timestamp: string;
  readonly timeMs: number;
  readonly stream: "stdout" | "stderr";
  /** False: the program's line goes on in the next one (tag P). */
  readonly complete: boolean;
  readonly text: string;
}

/** Undefined for a line that does not have the format, such as one cut off by a crash. */
export function parseCriLogLine(line: string): CriLogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP])(?: (.*))?$/s.exec(line);
  if (match === null) return undefined;
  const [, timestamp = "", stream, tag, text = ""] = match;
  const timeMs = Date.parse(timestamp);
  if (Number.isNaN(timeMs)) return undefined;
  return {
    timestamp,
    timeMs,
    stream: stream === "stderr" ? "stderr" : "stdout",
    complete: tag === "F",
    text,
  };
}
