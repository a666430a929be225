/** Mode of everything that holds the state: Secrets are in it. */
export const PRIVATE_FILE = 0o600;
