import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { writeFileAtomically } from "../os/index.ts";

export interface KubeconfigEntry {
  /** `https://HOST:PORT`. */
  readonly server: string;
  readonly ca: string;
  readonly token: string;
}

const NAME = "kubun";

/** Writes a kubeconfig that kubectl, helm and client libraries use as it is. */
export function writeKubeconfig(path: string, entry: KubeconfigEntry): void {
  const text = Bun.YAML.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: NAME,
          cluster: {
            server: entry.server,
            "certificate-authority-data": Buffer.from(entry.ca).toString("base64"),
          },
        },
      ],
      users: [{ name: NAME, user: { token: entry.token } }],
      contexts: [{ name: NAME, context: { cluster: NAME, user: NAME } }],
      "current-context": NAME,
    },
    null,
    2,
  );
  if (existsSync(path) && readFileSync(path, "utf8") === `${text}\n`) return;
  writeFileAtomically(path, `${text}\n`, { mode: 0o600 });
}

const kubeconfigSchema = z.object({
  clusters: z
    .array(
      z.object({
        cluster: z.object({ server: z.string(), "certificate-authority-data": z.string() }),
      }),
    )
    .min(1),
  users: z.array(z.object({ user: z.object({ token: z.string() }) })).min(1),
});

/** Reads back what {@link writeKubeconfig} wrote; undefined when there is none. */
export function readKubeconfig(path: string): KubeconfigEntry | undefined {
  if (!existsSync(path)) return undefined;
  const parsed = kubeconfigSchema.safeParse(Bun.YAML.parse(readFileSync(path, "utf8")));
  if (!parsed.success) throw new Error(`${path}: ${z.prettifyError(parsed.error)}`);
  const [cluster] = parsed.data.clusters;
  const [user] = parsed.data.users;
  if (cluster === undefined || user === undefined) return undefined;
  return {
    server: cluster.cluster.server,
    ca: Buffer.from(cluster.cluster["certificate-authority-data"], "base64").toString("utf8"),
    token: user.user.token,
  };
}
