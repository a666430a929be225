import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ProcExit } from "../errno.ts";
import { SystemHostClock } from "../host-clock.ts";
import { bytesInput } from "../streams.ts";
import { WasiHost, type WasiHostOptions } from "../wasi-host.ts";

const probe = guestModule("probe");
const rawCalls = guestModule("raw-calls");

function guestModule(name: string): WebAssembly.Module {
  return new WebAssembly.Module(
    readFileSync(join(import.meta.dir, "..", "testdata", `${name}.wasm`)),
  );
}

export interface ProbeRun {
  readonly host: WasiHost;
  /** One line a call, when the guest ended. */
  readonly lines: Promise<string[]>;
  /** Lines so far. */
  output(): string[];
}

/**
 * Runs testdata/probe.wasm on this script (one call a line, see probe.c). Each call answers with a
 * line that begins with its error number; a guest that exits adds `exit N`.
 */
export function startProbe(
  script: readonly string[],
  options: Partial<WasiHostOptions> = {},
): ProbeRun {
  return startGuest(probe, script, options);
}

/** The error numbers of testdata/raw-calls.wasm for this script, see raw-calls.c. */
export async function runRawCalls(
  script: readonly string[],
  options: Partial<WasiHostOptions> = {},
  begun: (host: WasiHost) => void = () => undefined,
): Promise<number[]> {
  const run = startGuest(rawCalls, script, options);
  begun(run.host);
  const lines = await run.lines;
  return lines.map((line) => (/^\d+$/.test(line) ? Number(line) : Number.NaN));
}

/** What raw-calls.wasm imports of preview 1: all there is. */
export function rawCallNames(): string[] {
  return WebAssembly.Module.imports(rawCalls).map(({ name }) => name);
}

function startGuest(
  guest: WebAssembly.Module,
  script: readonly string[],
  options: Partial<WasiHostOptions>,
): ProbeRun {
  let text = "";
  const host = new WasiHost({
    args: ["probe"],
    env: [],
    stdin: bytesInput(Buffer.from(`${script.join("\n")}\n`)),
    stdout: {
      kind: "output",
      lineBuffered: true,
      write: (bytes) => {
        text += Buffer.from(bytes).toString();
      },
    },
    stderr: { kind: "output", lineBuffered: true, write: () => undefined },
    ports: [],
    preopens: [],
    clock: new SystemHostClock(),
    ...options,
  });
  const output = () => text.split("\n").filter((line) => line !== "");
  return { host, output, lines: ended(guest, host, output) };
}

/** The lines of a script that runs to its end on one directory, which is descriptor 3. */
export async function runProbe(
  directory: string,
  script: readonly string[],
  options: { readonly readOnly?: boolean } = {},
): Promise<string[]> {
  const readOnly = options.readOnly ?? false;
  const preopens = [{ guestPath: "/data", hostPath: directory, readOnly }];
  return startProbe(script, { preopens }).lines;
}

async function ended(
  guest: WebAssembly.Module,
  host: WasiHost,
  output: () => string[],
): Promise<string[]> {
  try {
    await host.run(new WebAssembly.Instance(guest, host.imports()));
    return output();
  } catch (error) {
    if (error instanceof ProcExit) return [...output(), `exit ${error.code}`];
    throw error;
  } finally {
    host.close();
  }
}
