import { BlobStore } from "./blobstore/blob-store.ts";
import { blobstoreInterfaces } from "./blobstore/blobstore-interfaces.ts";
import { cliInterfaces } from "./cli.ts";
import { clockInterfaces } from "./clocks.ts";
import { configInterfaces } from "./config.ts";
import { DenialNotes } from "./denial-notes.ts";
import { filesystemInterfaces } from "./filesystem/filesystem-interfaces.ts";
import { SharedDirectory } from "./filesystem/shared-directory.ts";
import { EgressPool } from "./http/egress-pool.ts";
import { httpInterfaces } from "./http/http-interfaces.ts";
import { HttpError } from "./http/http-error.ts";
import { IncomingRequest } from "./http/incoming-request.ts";
import { ResponseOutparam } from "./http/outgoing-response.ts";
import type { Interfaces, SharedContext } from "./instance-context.ts";
import { InputStream } from "./io/input-stream.ts";
import { InstanceScope } from "./io/instance-scope.ts";
import { IoError } from "./io/io-failure.ts";
import { OutputStream } from "./io/output-stream.ts";
import { Pollable, pollFunction } from "./io/pollable.ts";
import { KeyvalueClient } from "./keyvalue/keyvalue-client.ts";
import { keyvalueInterfaces } from "./keyvalue/keyvalue-interfaces.ts";
import { spinKeyValue } from "./keyvalue/spin-key-value.ts";
import { loggingInterfaces } from "./logging.ts";
import type {
  IncomingHttp,
  OutgoingHttp,
  PreviewTwo,
  PreviewTwoInstance,
  PreviewTwoOptions,
} from "./preview-two.ts";
import { randomInterfaces } from "./random.ts";
import { spinVariables } from "./spin/variables.ts";
import { DatabasePool } from "./sqlite/database-pool.ts";
import { sqliteInterfaces } from "./sqlite/sqlite-interfaces.ts";
import { socketInterfaces } from "./sockets/socket-interfaces.ts";
import { ResolvedNames } from "./sockets/resolved-names.ts";

/** Makes the host of one container. Throws what the system says when a preopen is missing. */
export function createPreviewTwo(options: PreviewTwoOptions): PreviewTwo {
  const { egressPath, keyvaluePath, clock, preopens } = options;
  const directories = openAll(preopens.map((preopen) => () => new SharedDirectory(preopen)));
  const denials = new DenialNotes((line) => options.note(line));
  const { sqliteDatabases, blobContainers } = options.grants;
  const shared: SharedContext = {
    directories,
    egress: egressPath === undefined ? undefined : new EgressPool(egressPath, clock),
    keyvalue: keyvaluePath === undefined ? undefined : new KeyvalueClient(keyvaluePath, clock),
    names: new ResolvedNames(),
    denials,
    databases: new DatabasePool({ grants: sqliteDatabases, directories, denials }),
    blobs: new BlobStore({ grants: blobContainers, directories, denials, clock }),
  };
  return {
    instance: () => new HostInstance(options, shared),
    close: () => {
      shared.egress?.close();
      shared.keyvalue?.close();
      shared.databases.close();
      for (const directory of shared.directories) directory.close();
    },
  };
}

/** Opens all or none. */
function openAll(openers: readonly (() => SharedDirectory)[]): SharedDirectory[] {
  const opened: SharedDirectory[] = [];
  try {
    for (const open of openers) opened.push(open());
    return opened;
  } catch (error) {
    for (const directory of opened) directory.close();
    throw error;
  }
}

class HostInstance implements PreviewTwoInstance {
  readonly imports: Interfaces;
  readonly #scope: InstanceScope;

  constructor(options: PreviewTwoOptions, shared: SharedContext) {
    const scope = new InstanceScope(options.clock);
    const context = { scope, options, shared };
    this.#scope = scope;
    this.imports = {
      "wasi:io/error": { Error: IoError },
      "wasi:io/poll": { Pollable, poll: pollFunction(scope) },
      "wasi:io/streams": { InputStream, OutputStream },
      ...cliInterfaces(context),
      ...clockInterfaces(context),
      ...randomInterfaces(),
      ...filesystemInterfaces(context),
      ...httpInterfaces(context),
      ...socketInterfaces(context),
      ...configInterfaces(context),
      ...loggingInterfaces(context),
      ...keyvalueInterfaces(context),
      ...sqliteInterfaces(context),
      ...spinVariables(context),
      ...spinKeyValue(context),
      ...blobstoreInterfaces(context),
    };
  }

  get resources(): number {
    return this.#scope.resources;
  }

  incoming(request: IncomingHttp): ReturnType<PreviewTwoInstance["incoming"]> {
    const { promise, resolve, reject } = Promise.withResolvers<OutgoingHttp>();
    this.#scope.entered();
    // Whoever runs the guest may see it trap first, and never look at this.
    promise.catch(() => undefined);
    return {
      request: new IncomingRequest(this.#scope, request),
      responseOut: new ResponseOutparam(this.#scope, { resolve, reject }),
      response: promise,
    };
  }

  close(): void {
    this.#scope.close(new HttpError({ tag: "internal-error", val: "the instance was closed" }));
  }
}
