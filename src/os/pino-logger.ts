import pino from "pino";
import type { LogFields, Logger } from "../lib/index.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Structured JSON lines on standard error; standard output belongs to the user. */
export function createLogger(options: { level: LogLevel; fields?: LogFields }): Logger {
  const sink = pino.destination({ fd: 2, sync: true });
  const base = options.fields ?? {};
  return adapt(
    pino({ level: options.level, base, timestamp: pino.stdTimeFunctions.isoTime }, sink),
  );
}

function adapt(logger: pino.Logger): Logger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => adapt(logger.child(fields)),
  };
}
