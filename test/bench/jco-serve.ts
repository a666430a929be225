import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { freePort } from "../harness/free-port.ts";
import { runCommand } from "../harness/spawned-server.ts";
import { PEERS } from "./debian-package.ts";

const PACKAGE = "@bytecodealliance/jco";
const START_DEADLINE_MS = 120_000;

export interface ServedComponent {
  readonly url: string;
  /** The process that answers. */
  readonly pid: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The script of jco's command: that of `npm ci` when it is there, else of a cache of its own. */
async function jcoScript(): Promise<string> {
  const scriptIn = (directory: string): string =>
    join(directory, "node_modules", PACKAGE, "dist", "jco.js");
  const root = join(import.meta.dir, "..", "..");
  const cache = join(PEERS, "jco");
  const found = [root, cache].map(scriptIn).find((path) => existsSync(path));
  if (found !== undefined) return found;
  mkdirSync(cache, { recursive: true });
  const install = ["npm", "install", "--prefix", cache, "--no-audit", "--no-fund", PACKAGE];
  const { exitCode, stderr } = await runCommand(install);
  if (exitCode !== 0) throw new Error(`jco cannot be installed: ${stderr.trim()}`);
  return scriptIn(cache);
}

/** A component behind `jco serve`, on Node. Throws when it does not answer. */
export async function serveWithJco(
  component: string,
  env: Readonly<Record<string, string>>,
): Promise<ServedComponent> {
  const port = freePort();
  const script = await jcoScript();
  const child = Bun.spawn(["node", script, "serve", component, "--port", String(port)], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const url = `http://127.0.0.1:${port}/`;
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const answered = (): Promise<boolean> =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    await eventually(async () => child.exitCode !== null || (await answered()), {
      deadlineMs: START_DEADLINE_MS,
      what: "jco serve answers",
    });
    if (child.exitCode !== null) throw new Error(`jco serve ended with ${child.exitCode}`);
  } catch (error) {
    await end();
    throw error;
  }
  return { url, pid: lastChild(child.pid), [Symbol.asyncDispose]: end };
}

/** The command starts a process that serves, and waits for it. */
function lastChild(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? pid : lastChild(Number(children.split(" ").at(-1)));
}
