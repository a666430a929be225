import { readFileSync, writeFileSync } from "node:fs";

const SEPARATOR = "----";

/**
 * Runs a file of steps, each `command lines`, `----`, `expected lines`, an empty line; lines that
 * begin with `#` are comments. Gives what is expected and what came; with UPDATE=1 the file is
 * rewritten instead.
 */
export function runTranscript(
  path: string,
  run: (command: string) => string,
): { readonly expected: string; readonly actual: string } {
  const blocks = readFileSync(path, "utf8")
    .split(/\n\n+/)
    .filter((block) => block.trim() !== "");
  const actual = `${blocks.map((block) => replay(block, run)).join("\n\n")}\n`;
  if (process.env["UPDATE"] === "1") writeFileSync(path, actual);
  return { expected: readFileSync(path, "utf8"), actual };
}

function replay(block: string, run: (command: string) => string): string {
  const lines = block.trimEnd().split("\n");
  const at = lines.indexOf(SEPARATOR);
  const input = at < 0 ? lines : lines.slice(0, at);
  const outputs = input
    .filter((line) => !line.startsWith("#"))
    .map(run)
    .filter((output) => output !== "");
  return [...input, SEPARATOR, ...outputs].join("\n");
}
