import { existsSync, readFileSync, writeFileSync } from "node:fs";

/**
 * Runs the commands of a transcript and answers it with what they print now. A file has blocks of a
 * command, a line `----`, its output and an empty line. `UPDATE=1` writes the file anew.
 */
export function replayTranscript(
  path: string,
  run: (command: string) => string,
): { readonly recorded: string; readonly replayed: string } {
  const recorded = existsSync(path) ? readFileSync(path, "utf8") : "";
  const replayed = recorded
    .split("\n\n")
    .filter((block) => block.trim() !== "")
    .map((block) => {
      if (block.startsWith("#")) return block.trimEnd();
      const command = block.split("\n----")[0] ?? "";
      return `${command}\n----\n${run(command)}`.trimEnd();
    })
    .join("\n\n")
    .concat("\n");
  if (process.env["UPDATE"] === "1") writeFileSync(path, replayed);
  return { recorded: process.env["UPDATE"] === "1" ? replayed : recorded, replayed };
}
