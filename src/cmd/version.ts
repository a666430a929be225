import packageJson from "../../package.json";

/** Kubun's own version. */
export const VERSION: string = packageJson.version;

/** The version of the Kubernetes interface that is served. */
export const KUBERNETES_VERSION = { major: "1", minor: "36", patch: "0" } as const;

/** As /version and nodes tell it: the interface's version, then whose it is. */
export const GIT_VERSION =
  `v${KUBERNETES_VERSION.major}.${KUBERNETES_VERSION.minor}.${KUBERNETES_VERSION.patch}` +
  `+kubun${VERSION}`;
