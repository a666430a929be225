import { readFileSync } from "node:fs";
import { UsageError } from "./usage-error.ts";

/** The environment variable that holds a join token. */
export const TOKEN_VARIABLE = "KUBUN_TOKEN";

/** The process's environment, or a test's. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the join token in `--token`, `--token-file` or the environment, in this order. The latter
 * two keep it out of the process list.
 *
 * @throws UsageError when both flags are given, or the file cannot be read or is empty
 */
export function findGivenToken(
  given: Readonly<Record<string, unknown>>,
  environment: Environment,
): string | undefined {
  const { token, tokenFile } = given;
  if (token !== undefined && tokenFile !== undefined) {
    throw new UsageError("--token and --token-file are both given: give one of them");
  }
  if (typeof token === "string") return token.trim();
  if (typeof tokenFile === "string") return readTokenFile(tokenFile);
  const fromEnvironment = environment[TOKEN_VARIABLE]?.trim();
  return fromEnvironment === "" ? undefined : fromEnvironment;
}

function readTokenFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `--token-file ${JSON.stringify(path)} cannot be read (${reason}): ` +
        "give a file that holds what `kubun token create` printed",
    );
  }
  if (text !== "") return text;
  throw new UsageError(
    `--token-file ${JSON.stringify(path)} is empty: ` +
      "give a file that holds what `kubun token create` printed",
  );
}
