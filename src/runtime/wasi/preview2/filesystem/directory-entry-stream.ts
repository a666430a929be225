import { opendirSync, type Dir } from "node:fs";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import { fileOperation } from "./file-error.ts";
import type { FileHandle } from "./shared-directory.ts";
import { descriptorType, type DescriptorType } from "./file-stat.ts";

/** The resource `directory-entry-stream`: one entry at a time, without `.` and `..`. */
export class DirectoryEntryStream extends Resource {
  readonly #handle: FileHandle;
  readonly #directory: Dir;

  /** Takes over one use of the handle; the descriptor may be dropped meanwhile. */
  constructor(scope: InstanceScope, handle: FileHandle) {
    super(scope);
    this.#handle = handle;
    // The runtime opens the path as late as it reads, so that the handle has to stay open.
    this.#directory = opendirSync(`/proc/self/fd/${handle.fd}`);
  }

  readDirectoryEntry(): { readonly type: DescriptorType; readonly name: string } | undefined {
    const entry = fileOperation(() => this.#directory.readSync());
    if (entry === null) return undefined;
    return { type: descriptorType(entry), name: entry.name };
  }

  protected override released(): void {
    this.#directory.closeSync();
    this.#handle.release();
  }
}
