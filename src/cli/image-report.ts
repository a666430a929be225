import type { ImageDescription, ImportAdvice } from "../images/index.ts";

/** Names of one reason that are told before "and N more". */
const MAX_NAMED = 8;

/** What `kubun image inspect` prints, a line a fact. */
export function imageText(name: string, image: ImageDescription): string {
  const { binary, annotations } = image;
  const rows: [string, string][] = [
    ["Name", name],
    ["Kind", kindOf(image)],
    ["Size", `${image.sizeBytes} bytes`],
  ];
  if (image.digest !== undefined) rows.push(["Digest", image.digest]);
  if (image.configType !== undefined) rows.push(["Config", image.configType]);
  if (binary !== undefined) {
    rows.push(["Binary", `${binary.digest}, ${binary.sizeBytes} bytes`]);
    rows.push(...listed("Exports", binary.exports), ...listed("Imports", binary.imports));
  }
  const told = Object.entries(annotations).map(([key, value]) => `${key}: ${value}`);
  if (told.length > 0) rows.push(...listed("Annotations", told));
  const width = Math.max(...rows.map(([title]) => title.length));
  return rows.map(([title, value]) => `${title.padEnd(width)}   ${value}\n`).join("");
}

/** The same for programs. */
export function imageJson(name: string, image: ImageDescription): string {
  const { binary, advice, ...rest } = image;
  const warnings = advice.map(({ verdict, names, why, grant }) => ({
    verdict,
    names,
    why,
    ...grant,
  }));
  const told = binary && {
    binaryDigest: binary.digest,
    imports: binary.imports,
    exports: binary.exports,
  };
  return `${JSON.stringify({ name, ...rest, ...told, warnings }, undefined, 2)}\n`;
}

/** What to tell on standard error of an image, a line a reason; empty when all is well. */
export function imageWarnings(image: Pick<ImageDescription, "advice" | "unsupported">): string {
  const lines = image.advice.map(lineOf);
  if (image.unsupported !== undefined) {
    lines.unshift(`warning: no pod will start with ${image.unsupported}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function lineOf({ verdict, names, why, grant }: ImportAdvice): string {
  const some = names.slice(0, MAX_NAMED).join(", ");
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : "";
  switch (verdict) {
    case "refused":
      return names.length === 0
        ? `warning: no pod will start with it: ${why}`
        : `warning: no pod will start with ${some}${more}: ${why}`;
    case "needs-grant": {
      const how = `annotation ${grant?.annotation}, such as "${grant?.example}"`;
      return `note: ${some}${more} is ${why} by the ${how}`;
    }
  }
}

function kindOf({ kind, mediaType }: ImageDescription): string {
  switch (kind) {
    case "module":
      return "core module (WASI preview 1)";
    case "component":
      return "component (WASI 0.2)";
    case "other":
      return `no WebAssembly in a layer of its own (${mediaType})`;
  }
}

function listed(title: string, values: readonly string[]): [string, string][] {
  if (values.length === 0) return [[title, "none"]];
  return values.map((value, index) => [index === 0 ? title : "", value]);
}
