import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { writeFileAtomically } from "../os/index.ts";

const serversSchema = z.array(z.string().startsWith("https://")).min(1);

/** The servers that a node knows, kept over restarts: the one it joined at may be gone by then. */
export class ServersFile {
  readonly #path: string;
  #list: readonly string[];

  /** `first` is what joining told; a file that cannot be read counts as none. */
  constructor(path: string, first: readonly string[]) {
    this.#path = path;
    this.#list = read(path) ?? first;
  }

  /** Base URLs, "https://10.0.0.1:6443". */
  get list(): readonly string[] {
    return this.#list;
  }

  readonly replace = (servers: readonly string[]): void => {
    this.#list = servers;
    writeFileAtomically(this.#path, JSON.stringify(servers), { mode: 0o600 });
  };
}

function read(path: string): readonly string[] | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return serversSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}
