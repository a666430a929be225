import type { Pod, ResourceDefinition, ResourceRequirements } from "../../../api/index.ts";
import type { KubeObject } from "../../../apimachinery/index.ts";

/** Where a quota on one of these makes every container say its own. */
const DEMANDED: ReadonlyMap<string, readonly ["requests" | "limits", string]> = new Map([
  ["cpu", ["requests", "cpu"]],
  ["memory", ["requests", "memory"]],
  ["requests.cpu", ["requests", "cpu"]],
  ["requests.memory", ["requests", "memory"]],
  ["limits.cpu", ["limits", "cpu"]],
  ["limits.memory", ["limits", "memory"]],
]);

/**
 * `must specify limits.cpu for: a,b; memory for: b` where containers leave out what a quota
 * counts: without it they would take what nobody has counted. Undefined when nothing is missing.
 */
export function missingAmounts(
  definition: ResourceDefinition,
  object: Readonly<KubeObject>,
  names: readonly string[],
): string | undefined {
  if (definition.group !== "" || definition.kind !== "Pod") return undefined;
  const { spec } = object as Pod;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const texts: string[] = [];
  for (const name of [...names].sort()) {
    const demanded = DEMANDED.get(name);
    if (demanded === undefined || says(spec?.resources, demanded)) continue;
    const silent = containers.filter(({ resources }) => !says(resources, demanded));
    const who = [...new Set(silent.map((container) => container.name))].sort().join(",");
    if (silent.length > 0) texts.push(`${name} for: ${who}`);
  }
  return texts.length === 0 ? undefined : `must specify ${texts.join("; ")}`;
}

function says(
  resources: ResourceRequirements | undefined,
  [side, name]: readonly ["requests" | "limits", string],
): boolean {
  return resources?.[side]?.[name] !== undefined;
}
