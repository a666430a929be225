import { z } from "zod";
import type { RegistryAuth } from "../images/index.ts";
import { CommandError } from "./usage-error.ts";

/** What `docker login` and its like keep, as far as it is understood. */
const configSchema = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        registrytoken: z.string().optional(),
      }),
    )
    .optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});

const answerSchema = z.looseObject({ Username: z.string(), Secret: z.string() });
const HELPER_NAME = /^[A-Za-z0-9._-]+$/;
/** What the default registry is called in these files. */
const DOCKER_HUB = "https://index.docker.io/v1/";

/** Asks a program for a registry's credentials; undefined when it has none. */
export type CredentialHelper = (program: string, registry: string) => Promise<string | undefined>;

/**
 * The credentials for a registry in the text of a Docker configuration (`~/.docker/config.json`):
 * those of a helper program first, as Docker does, then those in the file.
 */
export async function registryCredentials(
  host: string,
  configuration: string,
  askHelper: CredentialHelper,
): Promise<RegistryAuth | undefined> {
  const { auths = {}, credsStore, credHelpers = {} } = parse(configuration);
  const registry = host === "docker.io" ? DOCKER_HUB : host;
  const helper = credHelpers[registry] ?? credHelpers[host] ?? credsStore;
  if (helper !== undefined) {
    if (!HELPER_NAME.test(helper)) throw new CommandError(`credential helper ${helper}: no name`);
    const answer = await askHelper(`docker-credential-${helper}`, registry);
    const found = answer === undefined ? undefined : credentialsIn(answer);
    if (found !== undefined) return found;
  }
  for (const [name, entry] of Object.entries(auths)) {
    if (name !== registry && hostOf(name) !== host) continue;
    const { auth, username, password, registrytoken: token } = entry;
    if (token !== undefined) return { token };
    if (username !== undefined && password !== undefined) return { username, password };
    if (auth === undefined || auth === "") continue;
    const [user = "", ...rest] = Buffer.from(auth, "base64").toString("utf8").split(":");
    return { username: user, password: rest.join(":") };
  }
  return undefined;
}

function parse(configuration: string): z.infer<typeof configSchema> {
  const parsed = configSchema.safeParse(jsonIn(configuration));
  if (parsed.success) return parsed.data;
  throw new CommandError(`the Docker configuration: ${z.prettifyError(parsed.error)}`);
}

function credentialsIn(answer: string): RegistryAuth | undefined {
  const parsed = answerSchema.safeParse(jsonIn(answer));
  if (!parsed.success) return undefined;
  const { Username: username, Secret: secret } = parsed.data;
  return username === "<token>" ? { token: secret } : { username, password: secret };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema says that this is nothing it knows.
  }
}

function hostOf(name: string): string {
  return name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}
