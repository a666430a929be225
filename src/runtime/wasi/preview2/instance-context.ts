import type { BlobStore } from "./blobstore/blob-store.ts";
import type { DenialNotes } from "./denial-notes.ts";
import type { EgressPool } from "./http/egress-pool.ts";
import type { InstanceScope } from "./io/instance-scope.ts";
import type { KeyvalueClient } from "./keyvalue/keyvalue-client.ts";
import type { PreviewTwoOptions } from "./preview-two.ts";
import type { DatabasePool } from "./sqlite/database-pool.ts";
import type { ResolvedNames } from "./sockets/resolved-names.ts";
import type { SharedDirectory } from "./filesystem/shared-directory.ts";

/** What the interfaces of one instance are made of. */
export interface InstanceContext {
  readonly scope: InstanceScope;
  readonly options: PreviewTwoOptions;
  readonly shared: SharedContext;
}

/** What all instances of a container have in common. */
export interface SharedContext {
  readonly directories: readonly SharedDirectory[];
  readonly egress: EgressPool | undefined;
  /** Absent where the pod names no store. */
  readonly keyvalue: KeyvalueClient | undefined;
  readonly names: ResolvedNames;
  readonly denials: DenialNotes;
  readonly databases: DatabasePool;
  readonly blobs: BlobStore;
}

/** Interface name without version → what generated code takes of it. */
export type Interfaces = Record<string, Readonly<Record<string, unknown>>>;
