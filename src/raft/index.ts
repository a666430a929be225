export { createSoloCore } from "./solo-core.ts";
export type { SoloCoreOptions } from "./solo-core.ts";
export type * from "./types.ts";
export type * from "./solo-types.ts";
