import type { InstanceContext, Interfaces } from "./instance-context.ts";

type Level = "trace" | "debug" | "info" | "warn" | "error" | "critical";

/** Characters of one message; the rest is cut off. */
export const MAX_LOG_MESSAGE = 16 * 1024;

/**
 * wasi:logging: a message is one line of the container's log, whatever it contains: `warn` and
 * above on stderr.
 */
export function loggingInterfaces({ options }: InstanceContext): Interfaces {
  const encoder = new TextEncoder();
  return {
    "wasi:logging/logging": {
      log: (level: Level, context: string, message: string) => {
        const prefix = context === "" ? level.toUpperCase() : `${level.toUpperCase()} ${context}`;
        const line = oneLine(`${prefix}: ${message}`);
        const stream = isSevere(level) ? options.stderr : options.stdout;
        // The interface cannot wait; the log holds what it has not written yet within its bounds.
        void stream.write(encoder.encode(`${line}\n`));
      },
    },
  };
}

function isSevere(level: Level): boolean {
  return level === "warn" || level === "error" || level === "critical";
}

function oneLine(text: string): string {
  return text
    .slice(0, MAX_LOG_MESSAGE)
    .replace(/[\r\n]+/g, " ⏎ ")
    .trimEnd();
}
