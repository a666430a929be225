import completeInShells from "@bomb.sh/tab/commander";
import { Command, CommanderError } from "commander";
import { AssertionError } from "../lib/index.ts";
import {
  addGroupVerbs,
  auditOptions,
  evictionOptions,
  groupServerOptions,
  machineOptions,
} from "./group-commands.ts";
import { CLUSTER_DOMAIN_HELP, DNS_PORT_HELP, INGRESS_HTTPS_PORT_HELP } from "./flag-schemas.ts";
import type { DataDirOption, GroupVerbs } from "./group-commands.ts";
import { addImageVerbs } from "./image-commands.ts";
import type { ImageVerbs } from "./image-commands.ts";
import { parseServerFlags } from "./server-flags.ts";
import type { ServerFlags } from "./server-flags.ts";
import { UsageError } from "./usage-error.ts";

/** What each verb does; the command line only reads words and flags. */
export interface Verbs extends GroupVerbs, ImageVerbs {
  server(flags: ServerFlags): Promise<void>;
  up(flags: ServerFlags, options: { detach: boolean }): Promise<void>;
  status(options: DataDirOption): Promise<void>;
  stop(options: DataDirOption): Promise<void>;
  delete(options: DataDirOption): Promise<void>;
  service(
    name: string,
    options: DataDirOption & { namespace: string; url: boolean },
  ): Promise<void>;
  /** Resolves to the exit status of the real kubectl. */
  kubectl(args: readonly string[], options: DataDirOption): Promise<number>;
}

export interface ProgramOptions {
  readonly version: string;
  readonly defaultDataDir: string;
  readonly verbs: Verbs;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command line (without the program's own name) and gives its exit status. */
export async function runProgram(
  args: readonly string[],
  options: ProgramOptions,
): Promise<number> {
  let exitStatus = EXIT_OK;
  const program = buildProgram(options, (status) => {
    exitStatus = status;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitStatus;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    if (!(error instanceof Error) || isDefect(error)) throw error;
    options.writeError(`error: ${error.message}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** Errors of the program itself, whose stack somebody must see; all others are for the user. */
function isDefect(error: Error): boolean {
  const defects = [AssertionError, TypeError, ReferenceError, RangeError];
  return defects.some((kind) => error instanceof kind);
}

function buildProgram(options: ProgramOptions, exitWith: (status: number) => void): Command {
  const program = new Command("kubun")
    .description("A Kubernetes-compatible cluster in one process.")
    .version(options.version, "-V, --version")
    .showHelpAfterError("(kubun --help tells what there is)")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: options.writeOut, writeErr: options.writeError });
  addServerVerbs(program, options);
  addClusterVerbs(program, options);
  addImageVerbs(program, options);
  addGroupVerbs(program, options);
  addKubectlVerb(program, options, exitWith);
  // After all others, because it reads them: `kubun completion bash` prints what a shell takes in.
  completeInShells(program, { completionCommandName: "completion" });
  const completion = program.commands.find((command) => command.name() === "completion");
  completion?.description("what makes a shell complete the words of this command");
  return program;
}

function dataDirOption(command: Command, options: ProgramOptions): Command {
  return command.option("--data-dir <dir>", "where the cluster is kept", options.defaultDataDir);
}

function serverOptions(
  command: Command,
  options: ProgramOptions,
  logLevel: ServerFlags["logLevel"],
): Command {
  return auditOptions(evictionOptions(machineOptions(dataDirOption(command, options))))
    .option("--https-port <port>", "the API's port; 0 picks a free one (6443, or free if taken)")
    .option("--http-port <port>", "Ingress's port; 0 picks a free one (8080, or free if taken)")
    .option("--ingress-https-port <port>", INGRESS_HTTPS_PORT_HELP)
    .option("--dns-port <port>", DNS_PORT_HELP)
    .option("--cluster-domain <domain>", CLUSTER_DOMAIN_HELP)
    .option("--bind-address <address>", "where the API and Ingress listen", "127.0.0.1")
    .option("--advertise-address <address>", "the address that others are told")
    .option("--tls-san <name>", "one more name for the server certificate; repeatable", collect, [])
    .option("--cluster-cidr <range>", "addresses of pods (the first free of 127.42.0.0/16, …)")
    .option("--service-cidr <range>", "addresses of Services (the range after the pods')")
    .option("--service-node-port-range <from-to>", "ports of NodePort Services", "30000-32767")
    .option("--log-level <level>", "debug, info, warn or error", logLevel);
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

function addServerVerbs(program: Command, options: ProgramOptions): void {
  const { verbs } = options;
  groupServerOptions(serverOptions(program.command("server"), options, "info"))
    .description("run a server in the foreground; pods outlive it and are adopted by the next")
    .option("--take-over", "take the place of the server that runs there, without a gap", false)
    .action((flags: Record<string, unknown>) => verbs.server(parseServerFlags(flags)));
  serverOptions(program.command("up"), options, "warn")
    .description("run a server with a sample workload; Ctrl-C ends the pods too")
    .option("--detach", "return when the sample answers; the server goes on", false)
    .action(({ detach, ...flags }: Record<string, unknown>) =>
      verbs.up(parseServerFlags(flags), { detach: detach === true }),
    );
}

function addClusterVerbs(program: Command, options: ProgramOptions): void {
  const { verbs } = options;
  dataDirOption(program.command("status"), options)
    .description("tell whether the cluster runs, where, and how its nodes and pods are")
    .action((flags: DataDirOption) => verbs.status(flags));
  dataDirOption(program.command("stop"), options)
    .description("stop the server and its pods; the state is kept")
    .action((flags: DataDirOption) => verbs.stop(flags));
  dataDirOption(program.command("delete"), options)
    .description("stop the cluster and remove its data directory")
    .action((flags: DataDirOption) => verbs.delete(flags));
  dataDirOption(program.command("service"), options)
    .description("tell how to reach a Service from this machine")
    .argument("<name>", "the Service's name")
    .option("-n, --namespace <namespace>", "its namespace", "default")
    .option("--url", "print the URL alone", false)
    .action((name: string, flags: DataDirOption & { namespace: string; url: boolean }) =>
      verbs.service(name, flags),
    );
}

function addKubectlVerb(
  program: Command,
  options: ProgramOptions,
  exitWith: (status: number) => void,
): void {
  dataDirOption(program.command("kubectl"), options)
    .description("run an installed kubectl against this cluster")
    .argument("[args...]", "what to hand to kubectl")
    .passThroughOptions()
    .allowUnknownOption()
    .helpOption(false)
    .action(async (args: string[], flags: DataDirOption) => {
      exitWith(await options.verbs.kubectl(args, flags));
    });
}
