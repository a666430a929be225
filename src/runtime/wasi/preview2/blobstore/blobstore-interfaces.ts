import { OpenFiles } from "../filesystem/shared-directory.ts";
import type { InstanceContext, Interfaces } from "../instance-context.ts";
import { classWithStatics } from "../io/resource.ts";
import { BlobDirectory } from "./blob-directory.ts";
import { BlobError } from "./blob-error.ts";
import { Container, StreamObjectNames } from "./blob-container.ts";
import { IncomingValue, OutgoingValue } from "./blob-values.ts";

/** `object-id`. */
interface ObjectId {
  readonly container: string;
  readonly object: string;
}

/** The interfaces of wasi:blobstore, 0.2.0-draft. */
export function blobstoreInterfaces({ scope, shared }: InstanceContext): Interfaces {
  const { blobs } = shared;
  const files = new OpenFiles();
  scope.endLast(files);
  const open = (name: string): BlobDirectory => {
    if (files.exhausted) throw new BlobError("too many objects are open");
    return new BlobDirectory(name, files.handle(blobs.open(name)), files);
  };
  const container = (name: string): Container => {
    const directory = open(name);
    try {
      return new Container(scope, directory);
    } catch (error) {
      directory.release();
      throw error;
    }
  };
  const within = <Result>(name: string, use: (directory: BlobDirectory) => Result): Result => {
    const directory = open(name);
    try {
      return use(directory);
    } finally {
      directory.release();
    }
  };
  const anyDirectory = () => open(blobs.names[0] ?? "default");
  return {
    "wasi:blobstore/types": {
      OutgoingValue: classWithStatics(OutgoingValue, {
        newOutgoingValue: () => new OutgoingValue(scope, anyDirectory),
        finish: (value: OutgoingValue) => OutgoingValue.finish(value),
      }),
      IncomingValue,
    },
    "wasi:blobstore/container": { Container, StreamObjectNames },
    "wasi:blobstore/blobstore": {
      createContainer: (name: string) => {
        blobs.create(name);
        return container(name);
      },
      getContainer: container,
      deleteContainer: (name: string) => {
        within(name, (directory) => directory.clear());
        blobs.remove(name);
      },
      containerExists: (name: string) => blobs.exists(name),
      copyObject: (from: ObjectId, to: ObjectId) =>
        within(from.container, (source) =>
          within(to.container, (target) => target.copyFrom(source, from.object, to.object)),
        ),
      moveObject: (from: ObjectId, to: ObjectId) =>
        within(from.container, (source) =>
          within(to.container, (target) => target.moveFrom(source, from.object, to.object)),
        ),
    },
  };
}
