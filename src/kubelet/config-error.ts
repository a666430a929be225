/**
 * A container cannot be configured as its pod asks: shown as CreateContainerConfigError, and tried
 * again, because what is missing may still appear.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
