import { componentNames } from "./component-names.ts";
import { moduleNames } from "./module-names.ts";
import { wasmBinaryKind } from "./wasm-binary.ts";

/** Where a server listens that nobody gave a port, neither its image nor its pod. */
export const DEFAULT_PORT = 8_080;

/**
 * The TCP ports that a module or component listens on when its container names none: those its
 * image exposes (`8080/tcp`), or {@link DEFAULT_PORT} when it is a server by what it imports or
 * exports. A WASM guest cannot open a port by itself, and `kubectl create deployment` names none.
 */
export function listeningPorts(bytes: Uint8Array, exposed: readonly string[]): number[] {
  const ports = exposed.flatMap((text) => {
    const [, port] = /^(\d{1,5})(?:\/tcp)?$/.exec(text) ?? [];
    const number = Number(port);
    return number >= 1 && number <= 65_535 ? [number] : [];
  });
  if (ports.length > 0) return ports;
  return isServer(bytes) ? [DEFAULT_PORT] : [];
}

function isServer(bytes: Uint8Array): boolean {
  if (wasmBinaryKind(bytes) === "component") {
    return componentNames(bytes).exports.some((name) =>
      name.startsWith("wasi:http/incoming-handler"),
    );
  }
  return moduleNames(bytes).imports.some(({ name }) => name === "sock_accept");
}
