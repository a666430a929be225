/** Where images of one registry are looked for before the registry itself is asked. */
export interface RegistryRoute {
  /** As image names begin: `localhost:6443`, or `docker.io` for names without a registry. */
  readonly host: string;
  readonly mirrors: readonly RegistryMirror[];
  /** The registry under its own name is not asked, because only the mirrors are it. */
  readonly mirrorsOnly?: true;
}

export interface RegistryMirror {
  /** `https://127.0.0.1:6443` or `http://…`; the path `/v2` is added. */
  readonly url: string;
  /** PEM; the machine's own authorities without it. */
  readonly authorityFile?: string;
  readonly clientCertificate?: { readonly certificateFile: string; readonly keyFile: string };
  /** An `Authorization` header's value: kept in a file that only root reads. */
  readonly authorization?: string;
}
