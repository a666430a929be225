import type { InstanceContext, Interfaces } from "../instance-context.ts";
import type { IoError } from "../io/io-failure.ts";
import { Descriptor } from "./descriptor.ts";
import { DirectoryEntryStream } from "./directory-entry-stream.ts";
import { FileHandle, OpenFiles } from "./shared-directory.ts";

/** The interfaces of wasi:filesystem. */
export function filesystemInterfaces({ scope, shared }: InstanceContext): Interfaces {
  const files = new OpenFiles();
  scope.endLast(files);
  const getDirectories = () =>
    shared.directories.map(({ fd, guestPath, readOnly }) => {
      const flags = { read: true, mutateDirectory: !readOnly };
      const handle = new FileHandle(fd, () => undefined);
      const options = {
        handle,
        kind: "directory",
        flags,
        files,
        readOnlyVolume: readOnly,
      } as const;
      return [new Descriptor(scope, options), guestPath];
    });
  return {
    "wasi:filesystem/types": { Descriptor, DirectoryEntryStream, filesystemErrorCode },
    "wasi:filesystem/preopens": { getDirectories, Descriptor },
  };
}

function filesystemErrorCode({ failure }: IoError): string | undefined {
  return failure.kind === "filesystem" ? failure.code : undefined;
}
