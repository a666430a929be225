import { RuntimeError } from "../runtime.ts";

/** The answer to a verb of the CRI that has no meaning for WebAssembly. */
export function unsupported(why: string): Promise<never> {
  return Promise.reject(new RuntimeError("unsupported", why));
}

/** The answer to `exec`, in both its forms. */
export function noSecondProgram(): Promise<never> {
  return unsupported("exec: a WASM module has no second program to run");
}
