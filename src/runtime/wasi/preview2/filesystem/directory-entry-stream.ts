import { opendirSync, type Dir } from "node:fs";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import { fileOperation } from "./file-error.ts";
import { descriptorType, type DescriptorType } from "./file-stat.ts";

/** The resource `directory-entry-stream`: one entry at a time, without `.` and `..`. */
export class DirectoryEntryStream extends Resource {
  readonly #directory: Dir;

  /** Reads the directory that `fd` is; the descriptor may be dropped meanwhile. */
  constructor(scope: InstanceScope, fd: number) {
    super(scope);
    this.#directory = fileOperation(() => opendirSync(`/proc/self/fd/${fd}`));
  }

  readDirectoryEntry(): { readonly type: DescriptorType; readonly name: string } | undefined {
    const entry = fileOperation(() => this.#directory.readSync());
    if (entry === null) return undefined;
    return { type: descriptorType(entry), name: entry.name };
  }

  protected override released(): void {
    this.#directory.closeSync();
  }
}
