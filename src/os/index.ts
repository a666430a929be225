export { claimLoopbackRanges } from "./address-range.ts";
export type { AddressRanges, ClaimedRanges } from "./address-range.ts";
export { writeFileAtomically } from "./atomic-file.ts";
export { certificateCovers } from "./certificate-coverage.ts";
export type { IssueServerOptions, KeyPair } from "./certificates.ts";
export { createLogger } from "./pino-logger.ts";
export type { LogLevel } from "./pino-logger.ts";
export { isSameProcess, processStartTime } from "./process-identity.ts";
export { createProcessSpawner } from "./process-spawner.ts";
