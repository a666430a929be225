export { runProgram } from "./program.ts";
export type { DataDirOption, ProgramOptions, Verbs } from "./program.ts";
export type { PortRange, ServerFlags } from "./server-flags.ts";
export { CommandError, UsageError } from "./usage-error.ts";
