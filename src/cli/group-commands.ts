import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { parseAgentFlags } from "./agent-flags.ts";
import type { AgentFlags } from "./agent-flags.ts";
import {
  durationMs,
  CLUSTER_DOMAIN_HELP,
  CONTAINER_RUNTIME_HELP,
  DNS_PORT_HELP,
  INGRESS_HTTPS_PORT_HELP,
} from "./flag-schemas.ts";
import type { ServerFlags } from "./server-flags.ts";
import { UsageError } from "./usage-error.ts";

export interface DataDirOption {
  readonly dataDir: string;
}

/** Which cluster: the one of a data directory, or that of a kubeconfig. */
export interface ClusterOption extends DataDirOption {
  readonly kubeconfig?: string;
}

/** What a token lets a machine join as. */
export type JoinRole = "server" | "agent";

export interface TokenCreateOptions extends ClusterOption {
  readonly ttlMs: number;
  readonly role: JoinRole;
  readonly description?: string;
}

/** The verbs of a cluster of several machines. */
export interface GroupVerbs {
  agent(flags: AgentFlags): Promise<void>;
  tokenCreate(options: TokenCreateOptions): Promise<void>;
  tokenList(options: ClusterOption): Promise<void>;
  tokenRevoke(id: string, options: ClusterOption): Promise<void>;
  memberList(options: ClusterOption): Promise<void>;
  memberRemove(nameOrId: string, options: ClusterOption): Promise<void>;
  memberPromote(nameOrId: string, options: ClusterOption): Promise<void>;
  snapshotSave(file: string, options: ClusterOption): Promise<void>;
  snapshotRestore(file: string, options: DataDirOption): Promise<void>;
}

export interface GroupCommandOptions {
  readonly defaultDataDir: string;
  readonly verbs: GroupVerbs;
}

const DEFAULT_TTL = "24h";

export function addGroupVerbs(program: Command, options: GroupCommandOptions): void {
  addAgentVerb(program, options);
  addTokenVerbs(program, options);
  addMemberVerbs(program, options);
  addSnapshotVerbs(program, options);
}

/** What joining takes, for servers and agents alike. */
export function joinOptions(command: Command): Command {
  return command
    .option("--join <url>", "join the cluster of this server, such as https://192.0.2.7:6443")
    .option("--token <token>", "what `kubun token create` printed; needed at the first start only")
    .option("--token-file <file>", "a file that holds the token (or set KUBUN_TOKEN)");
}

/** How the other machines see this one. */
export function machineOptions(command: Command): Command {
  return command
    .option("--node-name <name>", "the node's name (the machine's)")
    .option("--node-ip <address>", "the node's address that others are told")
    .option("--max-pods <number>", "pods this node takes (one for 10 MiB of memory, 110 or more)")
    .option("--container-runtime-endpoint <endpoint>", CONTAINER_RUNTIME_HELP)
    .option("--peer-port <port>", "for the cluster's other machines (10250, or free if taken)")
    .option("--peer-address <host>", "under which the others reach the peer port");
}

/** How soon a silent node counts as lost, and its pods are moved. */
export function evictionOptions(command: Command): Command {
  return command
    .option("--node-monitor-grace-period <duration>", "a node may be silent for so long (40s)")
    .option(
      "--default-not-ready-toleration-seconds <seconds>",
      "pods stay for so long on a node that is not ready (300)",
    )
    .option(
      "--default-unreachable-toleration-seconds <seconds>",
      "pods stay for so long on a node out of reach (300)",
    );
}

/** The log of who did what. */
export function auditOptions(command: Command): Command {
  return command
    .option("--audit-log-path <file>", "write a line for each request to the API (none)")
    .option("--audit-log-maxsize <megabytes>", "begin another file after so much (100)")
    .option("--audit-log-maxbackup <number>", "keep so many files besides (10)");
}

/** What only a server among others, or one with its state elsewhere, needs. */
export function groupServerOptions(command: Command): Command {
  return joinOptions(command)
    .option("--witness", "vote, but hold no state: the third of two servers", false)
    .option(
      "--cluster-signing-duration <duration>",
      "how long machines' certificates last; each is renewed in time (8760h)",
    )
    .option("--cluster-reset", "go on alone when the other servers are lost for good", false)
    .option("--datastore-endpoint <urls>", "keep the state in this etcd cluster instead")
    .option("--datastore-cafile <file>", "the authority of etcd's certificates")
    .option("--datastore-certfile <file>", "this server's certificate for etcd")
    .option("--datastore-keyfile <file>", "its private key");
}

function addAgentVerb(program: Command, options: GroupCommandOptions): void {
  const level: ServerFlags["logLevel"] = "info";
  const command = joinOptions(dataDirOption(program.command("agent"), options));
  machineOptions(command)
    .description("run a worker node of a cluster in the foreground")
    .option("--bind-address <address>", "where node ports and Ingress listen", "127.0.0.1")
    .option("--http-port <port>", "Ingress's port; 0 picks a free one (8080, or free if taken)")
    .option("--ingress-https-port <port>", INGRESS_HTTPS_PORT_HELP)
    .option("--dns-port <port>", DNS_PORT_HELP)
    .option("--cluster-domain <domain>", CLUSTER_DOMAIN_HELP)
    .option("--log-level <level>", "debug, info, warn or error", level)
    .action((flags: Record<string, unknown>) => options.verbs.agent(parseAgentFlags(flags)));
}

function addTokenVerbs(program: Command, options: GroupCommandOptions): void {
  const { verbs } = options;
  const token = program.command("token").description("what lets other machines join");
  clusterOption(token.command("create"), options)
    .description("make a join token and print it alone")
    .addOption(
      new Option("--ttl <duration>", "how long it is good")
        .argParser(checkDuration)
        .default(checkDuration(DEFAULT_TTL), DEFAULT_TTL),
    )
    .option("--role <role>", "server or agent", checkRole, "agent")
    .option("--description <text>", "what it is for")
    .action(({ ttl, ...flags }: Omit<TokenCreateOptions, "ttlMs"> & { ttl: number }) =>
      verbs.tokenCreate({ ...flags, ttlMs: ttl }),
    );
  clusterOption(token.command("list"), options)
    .description("list ids, roles and expiry; never the secrets")
    .action((flags: ClusterOption) => verbs.tokenList(flags));
  clusterOption(token.command("revoke"), options)
    .description("end a token; machines that joined with it stay")
    .argument("<id>", "its id, as `kubun token list` shows it")
    .action((id: string, flags: ClusterOption) => verbs.tokenRevoke(checkTokenId(id), flags));
}

function addMemberVerbs(program: Command, options: GroupCommandOptions): void {
  const { verbs } = options;
  const member = program.command("member").description("the servers of the cluster");
  clusterOption(member.command("list"), options)
    .description("list the servers, their roles and how far behind they are")
    .action((flags: ClusterOption) => verbs.memberList(flags));
  clusterOption(member.command("remove"), options)
    .description("take a server out of the group for good")
    .argument("<name|id>", "as `kubun member list` shows it")
    .action((name: string, flags: ClusterOption) => verbs.memberRemove(name, flags));
  clusterOption(member.command("promote"), options)
    .description("let a server vote that has caught up (it is done by itself as a rule)")
    .argument("<name|id>", "as `kubun member list` shows it")
    .action((name: string, flags: ClusterOption) => verbs.memberPromote(name, flags));
}

function addSnapshotVerbs(program: Command, options: GroupCommandOptions): void {
  const { verbs } = options;
  const snapshot = program.command("snapshot").description("the cluster's state as one file");
  clusterOption(snapshot.command("save"), options)
    .description("write the state to a new file, from the running cluster or a stopped one's disk")
    .argument("<file>", "must not exist")
    .action((file: string, flags: ClusterOption) => verbs.snapshotSave(file, flags));
  dataDirOption(snapshot.command("restore"), options)
    .description("make the state of a new data directory from a snapshot")
    .argument("<file>", "what `kubun snapshot save` wrote")
    .action((file: string, flags: DataDirOption) => verbs.snapshotRestore(file, flags));
}

function dataDirOption(command: Command, options: GroupCommandOptions): Command {
  return command.option("--data-dir <dir>", "where the cluster is kept", options.defaultDataDir);
}

function clusterOption(command: Command, options: GroupCommandOptions): Command {
  return dataDirOption(command, options).option(
    "--kubeconfig <file>",
    "the cluster of this kubeconfig instead",
  );
}

function checkDuration(text: string): number {
  const parsed = durationMs.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`give ${durationMs.description}`);
}

function checkRole(text: string): JoinRole {
  if (text === "server" || text === "agent") return text;
  throw new InvalidArgumentError("give server or agent");
}

function checkTokenId(text: string): string {
  if (/^[a-z0-9]{6}$/.test(text)) return text;
  // A whole token by mistake is not repeated: it is a secret.
  throw new UsageError(
    "the id is not allowed: give the six letters and digits that `kubun token list` shows",
  );
}
