import { setDefaultTimeout } from "bun:test";

/** Longest a test may take unless it says otherwise: real processes on a busy machine are slow. */
const DEFAULT_TIMEOUT_MS = 60_000;

setDefaultTimeout(DEFAULT_TIMEOUT_MS);
