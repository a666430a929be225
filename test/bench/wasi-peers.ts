import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { freePort } from "../harness/free-port.ts";
import { runCommand } from "../harness/spawned-server.ts";
import { packageVersion, PEERS, unpackDebianPackage, unpackedCommand } from "./debian-package.ts";

export interface ProgramRun {
  /** A module for WASI preview 1. */
  readonly module: string;
  readonly args: readonly string[];
  /** A directory of the machine, `/data` to the program. */
  readonly directory: string;
}

export interface ServedProgram {
  readonly url: string;
  end(): Promise<void>;
}

/** What runs programs for WASI preview 1. */
export interface WasiRunner {
  readonly name: string;
  /** It compiles nothing: computing takes a hundred times as long. */
  readonly interprets?: boolean;
  /** Runs a program to its end and gives how long that took, its process included, in ms. */
  run(program: ProgramRun): Promise<number>;
  /** Serves a program that accepts on descriptor 3, for runners that can. */
  serve?(module: string): Promise<ServedProgram>;
}

const NODE_SCRIPT = join(import.meta.dir, "node-wasi.mjs");
/** The newest stable release has the one, only the unstable one the other. */
const WASMEDGE_SUITE = "trixie";
const WAZERO_SUITE = "sid";

/** A peer whose command runs one program. */
class CommandRunner implements WasiRunner {
  readonly name: string;
  readonly interprets: boolean;
  readonly #command: (program: ProgramRun) => readonly string[];

  constructor(
    name: string,
    command: (program: ProgramRun) => readonly string[],
    { interprets = false } = {},
  ) {
    this.name = name;
    this.#command = command;
    this.interprets = interprets;
  }

  async run(program: ProgramRun): Promise<number> {
    const startMs = performance.now();
    const { exitCode, stderr } = await runCommand(this.#command(program));
    const tookMs = performance.now() - startMs;
    if (exitCode !== 0) throw new Error(`${this.name}: ${exitCode}: ${stderr}`);
    return tookMs;
  }
}

/** wazero, which compiles at each start unless it keeps what it compiled. */
class WazeroRunner extends CommandRunner {
  readonly #command: readonly string[];

  constructor(name: string, command: readonly string[], flags: readonly string[]) {
    super(name, ({ module, args, directory }) => {
      const options = [...flags, `-mount=${directory}:/data`];
      return [...command, "run", ...options, module, ...args];
    });
    this.#command = command;
  }

  async serve(module: string): Promise<ServedProgram> {
    const listen = `127.0.0.1:${freePort()}`;
    const child = Bun.spawn([...this.#command, "run", `-listen=${listen}`, module]);
    // A connection would be all that the program serves: it is looked at without one.
    await eventually(() => Bun.spawnSync(["ss", "-Hltn"]).stdout.toString().includes(listen));
    return {
      url: `http://${listen}/`,
      async end() {
        child.kill("SIGKILL");
        await child.exited;
      },
    };
  }
}

/** wasmedge, which interprets unless a program was compiled before, by LLVM. */
class CompiledWasmedge implements WasiRunner {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #compiled = new Map<string, string>();

  constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#command = command;
  }

  async run(program: ProgramRun): Promise<number> {
    const module = this.#compiled.get(program.module) ?? (await this.#compile(program.module));
    const runner = new CommandRunner(this.name, (each) => wasmedgeRun(this.#command, each));
    return runner.run({ ...program, module });
  }

  async #compile(module: string): Promise<string> {
    const directory = join(PEERS, "wasmedge-compiled");
    mkdirSync(directory, { recursive: true });
    const compiled = join(directory, basename(module).replace(/\.wasm$/, ".so"));
    const { exitCode, stderr } = await runCommand([...this.#command, "compile", module, compiled]);
    if (exitCode !== 0) throw new Error(`wasmedge compile: ${stderr}`);
    this.#compiled.set(module, compiled);
    return compiled;
  }
}

function wasmedgeRun(command: readonly string[], { module, args, directory }: ProgramRun) {
  return [...command, "--dir", `/data:${directory}`, module, ...args];
}

async function wazeroRunners(): Promise<WasiRunner[]> {
  const root = await unpackDebianPackage(WAZERO_SUITE, "wazero");
  const command = unpackedCommand(root, "wazero");
  const name = `wazero ${packageVersion("wazero")}`;
  const cache = `-cachedir=${join(PEERS, "wazero-compiled")}`;
  return [
    new WazeroRunner(name, command, []),
    new WazeroRunner(`${name}, compiled before`, command, [cache]),
  ];
}

async function wasmedgeRunners(): Promise<WasiRunner[]> {
  const root = await unpackDebianPackage(WASMEDGE_SUITE, "wasmedge");
  const command = unpackedCommand(root, "wasmedge");
  const name = `wasmedge ${packageVersion("wasmedge")}`;
  return [
    new CommandRunner(`${name}, interpreter`, (program) => wasmedgeRun(command, program), {
      interprets: true,
    }),
    new CompiledWasmedge(`${name}, compiled before`, command),
  ];
}

async function nodeRunners(): Promise<WasiRunner[]> {
  const name = `node:wasi ${(await runCommand(["node", "--version"])).stdout.trim()}`;
  const node = ["node", "--no-warnings", NODE_SCRIPT];
  const run = ({ module, args, directory }: ProgramRun): string[] => [
    ...node,
    directory,
    module,
    ...args,
  ];
  return [new CommandRunner(name, run)];
}

/** The peers that this machine can have; `tell` is told why it has not the others. */
export async function wasiPeers(tell: (missing: string) => void): Promise<WasiRunner[]> {
  const runners: WasiRunner[] = [];
  const peers = { wazero: wazeroRunners, wasmedge: wasmedgeRunners, "node:wasi": nodeRunners };
  for (const [name, find] of Object.entries(peers)) {
    try {
      runners.push(...(await find()));
    } catch (error) {
      tell(`${name} cannot be had: ${String(error)}`);
    }
  }
  return runners;
}
