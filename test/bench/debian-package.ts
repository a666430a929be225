import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../harness/spawned-server.ts";

/** Where peers are kept between runs, outside of the repository. */
export const PEERS = join(tmpdir(), "kubun-bench-peers");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Unpacks a package of a newer Debian, with all it depends on, and gives the directory. The machine
 * itself stays as it is: apt gets a root of its own, and dpkg only unpacks. Throws when it cannot be
 * had.
 */
export async function unpackDebianPackage(suite: string, name: string): Promise<string> {
  const target = join(PEERS, name);
  const done = markerOf(name);
  if (existsSync(done)) return target;
  const apt = await aptRoot(suite);
  const cache = join(apt, `archives-${name}`);
  mkdirSync(join(cache, "partial"), { recursive: true });
  const options = [...aptOptions(apt), "-o", `Dir::Cache::archives=${cache}`];
  const install = ["install", "--yes", "--no-install-recommends", "--download-only", name];
  await succeed(["apt-get", ...options, ...install]);
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(cache).filter((each) => each.endsWith(".deb"))) {
    await succeed(["dpkg", "-x", join(cache, file), target]);
  }
  const version = readdirSync(cache)
    .find((file) => file.startsWith(`${name}_`))
    ?.split("_")[1];
  writeFileSync(done, version ?? "");
  return target;
}

/** The version of the program in an unpacked package, without what Debian adds to it. */
export function packageVersion(name: string): string {
  return readFileSync(markerOf(name), "utf8").replace(/[+-].*$/s, "");
}

function markerOf(name: string): string {
  return join(PEERS, `${name}.unpacked`);
}

/** A command of an unpacked package, run with the C library that it was unpacked with. */
export function unpackedCommand(root: string, command: string): string[] {
  const loader = join(root, "usr", "lib64", "ld-linux-x86-64.so.2");
  const libraries = join(root, "usr", "lib", "x86_64-linux-gnu");
  return [loader, "--library-path", libraries, join(root, "usr", "bin", command)];
}

async function aptRoot(suite: string): Promise<string> {
  const apt = join(PEERS, `apt-${suite}`);
  const status = join(apt, "status");
  if (existsSync(status)) return apt;
  // The mirror that this machine has already.
  const targets = ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"];
  const known = await succeed(["apt-get", ...targets]);
  const mirror = /^Debian (\S+)$/m.exec(known)?.[1];
  if (mirror === undefined) throw new Error("apt knows no Debian mirror: run apt-get update");
  mkdirSync(join(apt, "lists", "partial"), { recursive: true });
  writeFileSync(join(apt, "sources.list"), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  const update = ["update", "-o", `Dir::State::status=/dev/null`];
  await succeed(["apt-get", ...aptOptions(apt), ...update]);
  writeFileSync(status, "");
  return apt;
}

/** Nothing counts as installed, so that all dependencies come along. */
function aptOptions(apt: string): string[] {
  return [
    `Dir::Etc::SourceList=${join(apt, "sources.list")}`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${join(apt, "lists")}`,
    `Dir::State::status=${join(apt, "status")}`,
    `Dir::Cache=${apt}`,
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
}

async function succeed(command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.trim()}`);
  return stdout;
}
