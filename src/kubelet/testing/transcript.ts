import { readFileSync, writeFileSync } from "node:fs";

/** One step of a transcript: the command lines, and what they gave. */
interface Step {
  readonly input: string;
  readonly expected: string;
}

const SEPARATOR = "----";

/**
 * Runs a file of steps, each `command lines`, `----`, `expected lines`, an empty line. Gives what
 * is expected and what came; with UPDATE=1 the file is rewritten instead.
 */
export function runTranscript(
  path: string,
  run: (command: string) => string,
): { readonly expected: string; readonly actual: string } {
  const text = readFileSync(path, "utf8");
  const steps = parseSteps(text);
  const actual = steps.map(({ input }) => ({
    input,
    expected: input
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map(run)
      .filter((output) => output !== "")
      .join("\n"),
  }));
  const update = process.env["UPDATE"] === "1";
  if (update) writeFileSync(path, formatSteps(actual));
  return { expected: formatSteps(update ? actual : steps), actual: formatSteps(actual) };
}

function parseSteps(text: string): Step[] {
  return text
    .split(/\n\n+/)
    .filter((block) => block.trim() !== "")
    .map((block) => {
      const lines = block.trimEnd().split("\n");
      const at = lines.indexOf(SEPARATOR);
      const end = at < 0 ? lines.length : at;
      return {
        input: lines.slice(0, end).join("\n"),
        expected: lines.slice(end + 1).join("\n"),
      };
    });
}

function formatSteps(steps: readonly Step[]): string {
  const blocks = steps.map(({ input, expected }) =>
    [input, SEPARATOR, ...(expected === "" ? [] : [expected])].join("\n"),
  );
  return `${blocks.join("\n\n")}\n`;
}
