import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { ImageError, parseReference } from "../images/index.ts";
import type { DataDirOption } from "./group-commands.ts";

/** What an artifact says of itself beyond its content. */
export interface ArtifactOptions {
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The world a component is for. */
  readonly target?: string;
}

export interface ImageBuildOptions extends ArtifactOptions {
  /** A directory, or an archive when it ends in `.tar`; named after the file when absent. */
  readonly output?: string;
  readonly tag?: string;
}

export type ImagePushOptions = DataDirOption & ArtifactOptions;
export type ImageInspectOptions = DataDirOption & { readonly output: "text" | "json" };

export interface ImageVerbs {
  imageBuild(file: string, options: ImageBuildOptions): Promise<void>;
  imagePush(file: string, reference: string, options: ImagePushOptions): Promise<void>;
  imageInspect(what: string, options: ImageInspectOptions): Promise<void>;
  imageList(options: DataDirOption): Promise<void>;
}

export interface ImageCommandOptions {
  readonly defaultDataDir: string;
  readonly verbs: ImageVerbs;
}

interface ArtifactFlags {
  readonly annotation: Readonly<Record<string, string>>;
  readonly target?: string;
}

export function addImageVerbs(program: Command, options: ImageCommandOptions): void {
  const { verbs } = options;
  const image = program
    .command("image")
    .description("images of WASM modules and components, in the cluster's registry and elsewhere");
  artifactOptions(image.command("build"))
    .description("write a WASM module or component as an OCI image layout")
    .argument("<file>", "a module or component (.wasm)")
    .option("-o, --output <path>", "a directory, or an archive if it ends in .tar (FILE.oci)")
    .option("-t, --tag <tag>", "the image's name in the layout, such as v1", checkTag)
    .action((file: string, flags: ArtifactFlags & { output?: string; tag?: string }) => {
      const { output, tag } = flags;
      return verbs.imageBuild(file, {
        ...artifactOf(flags),
        ...(output === undefined ? {} : { output }),
        ...(tag === undefined ? {} : { tag }),
      });
    });
  artifactOptions(dataDirOption(image.command("push"), options))
    .description("store a module, a component or an image layout under a name that pods can use")
    .argument("<file>", "a module or component (.wasm), or an OCI image layout")
    .argument("<name:tag>", "hello-http:v1, or ghcr.io/me/app:v1 elsewhere", checkReference)
    .action((file: string, reference: string, flags: ArtifactFlags & DataDirOption) =>
      verbs.imagePush(file, reference, { dataDir: flags.dataDir, ...artifactOf(flags) }),
    );
  dataDirOption(image.command("inspect"), options)
    .description("tell an image's imports, exports, and what a pod of it will be refused")
    .argument("<image>", "a file, or the name of an image: hello-http:v1, ghcr.io/me/app:v1")
    .addOption(new Option("-o, --output <form>").choices(["text", "json"]).default("text"))
    .action((what: string, flags: ImageInspectOptions) => verbs.imageInspect(what, flags));
  dataDirOption(image.command("list"), options)
    .description("list the images and their tags")
    .action((flags: DataDirOption) => verbs.imageList(flags));
}

function dataDirOption(command: Command, options: ImageCommandOptions): Command {
  return command.option("--data-dir <dir>", "where the cluster is kept", options.defaultDataDir);
}

function artifactOptions(command: Command): Command {
  return command
    .option("--annotation <name=value>", "one for the manifest; repeatable", annotation, {})
    .option("--target <world>", "the world a component is for, such as wasi:http/proxy@0.2.0");
}

function artifactOf({ annotation, target }: ArtifactFlags): ArtifactOptions {
  return { annotations: annotation, ...(target === undefined ? {} : { target }) };
}

function annotation(
  value: string,
  previous: Readonly<Record<string, string>>,
): Record<string, string> {
  const equals = value.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("give name=value");
  return { ...previous, [value.slice(0, equals)]: value.slice(equals + 1) };
}

function checkTag(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(text)) return text;
  throw new InvalidArgumentError("give a tag such as v1: letters, digits, and . _ - inside");
}

function checkReference(text: string): string {
  try {
    const { digest } = parseReference(text);
    if (digest === undefined) return text;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
  }
  throw new InvalidArgumentError("give a name in lower case and a tag, such as hello-http:v1");
}
