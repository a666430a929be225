import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** What a worker made of a module before it was compiled. */
export interface PreparedModule {
  readonly bytes: Uint8Array;
  /** See CompiledModule. */
  readonly maximumPages: number | undefined;
}

const NEWLINE = 0x0a;

/** `undefined` when nobody has left it yet. */
export function readPrepared(path: string): PreparedModule | undefined {
  try {
    const content = readFileSync(path);
    const end = content.indexOf(NEWLINE);
    const pages = Number(content.toString("latin1", 0, end));
    return {
      bytes: content.subarray(end + 1),
      maximumPages: pages === 0 ? undefined : pages,
    };
  } catch {
    return undefined; // The first container of its image: it prepares the module itself.
  }
}

/** Leaves it for the containers that come; what fails costs them time only. */
export function leavePrepared(path: string, { bytes, maximumPages }: PreparedModule): void {
  const temporary = `${path}.${process.pid}`;
  try {
    const head = Buffer.from(`${maximumPages ?? 0}\n`);
    writeFileSync(temporary, Buffer.concat([head, bytes]), { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true }); // A full disk, most likely.
  }
}
