import type { InstanceContext, Interfaces } from "./instance-context.ts";

/**
 * wasi:config: the container's environment, which a PodSpec fills from ConfigMaps and Secrets.
 * The interface is `store` today and was `runtime` in earlier drafts.
 */
export function configInterfaces({ options }: InstanceContext): Interfaces {
  const values = new Map(options.env);
  const store = {
    get: (key: string) => values.get(key),
    getAll: () => [...values].map(([name, value]) => [name, value]),
  };
  return { "wasi:config/store": store, "wasi:config/runtime": store };
}
