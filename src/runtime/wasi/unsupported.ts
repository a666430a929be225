import { RuntimeError } from "../runtime.ts";

/** The answer to a verb of the CRI that has no meaning for WebAssembly. */
export function unsupported(why: string): Promise<never> {
  return Promise.reject(new RuntimeError("unsupported", why));
}

/** The answer to `exec`, in both its forms. */
export function noSecondProgram(): Promise<never> {
  return unsupported(
    "a WASM container runs one program and has no shell or commands; " +
      "kubectl debug --image=IMAGE --attach=false adds a WASM container to the pod",
  );
}
