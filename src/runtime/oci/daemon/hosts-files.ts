import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryMirror, RegistryRoute } from "../registry-routes.ts";
import { quote } from "./containerd-config.ts";

/** containerd reads `<host>/hosts.toml`; a colon before a port is written as it is. */
const FILE = "hosts.toml";
const DOCKER_HUB = "docker.io";
const DOCKER_HUB_SERVER = "https://registry-1.docker.io";

/** The content of a hosts.toml: mirrors in their order, then the registry itself. */
export function hostsFile(route: RegistryRoute): string {
  const server = route.host === DOCKER_HUB ? DOCKER_HUB_SERVER : `https://${route.host}`;
  // A registry that is not to be asked is named as the last mirror, which answers the same again.
  const last = route.mirrorsOnly === true ? route.mirrors.at(-1)?.url : server;
  return (
    [`server = ${quote(last ?? server)}`, ...route.mirrors.map(mirrorTable)].join("\n\n") + "\n"
  );
}

function mirrorTable(mirror: RegistryMirror): string {
  const { authorityFile, clientCertificate, authorization } = mirror;
  const host = quote(mirror.url);
  return [
    `[host.${host}]`,
    '  capabilities = ["pull", "resolve"]',
    ...(authorityFile === undefined ? [] : [`  ca = ${quote(authorityFile)}`]),
    ...(clientCertificate === undefined
      ? []
      : [
          `  client = [[${quote(clientCertificate.certificateFile)}, ` +
            `${quote(clientCertificate.keyFile)}]]`,
        ]),
    ...(authorization === undefined
      ? []
      : [`  [host.${host}.header]`, `    Authorization = [${quote(authorization)}]`]),
  ].join("\n");
}

/** Keeps containerd's directory of registries as the routes say; it is read at each pull. */
export class HostsFiles {
  readonly #directory: string;
  #written = "";

  constructor(directory: string) {
    this.#directory = directory;
  }

  write(routes: readonly RegistryRoute[]): void {
    const wanted = JSON.stringify(routes);
    if (wanted === this.#written) return;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const hosts = new Set(routes.map(({ host }) => host));
    for (const name of readdirSync(this.#directory)) {
      if (!hosts.has(name)) rmSync(join(this.#directory, name), { recursive: true, force: true });
    }
    for (const route of routes) {
      const place = join(this.#directory, route.host);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      writeFileSync(join(place, `${FILE}.new`), hostsFile(route), { mode: 0o600 });
      renameSync(join(place, `${FILE}.new`), join(place, FILE));
    }
    this.#written = wanted;
  }
}
