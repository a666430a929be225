import { findKind } from "../api/index.ts";
import { parseApiVersion } from "../apimachinery/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { isAlreadyExists } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import { CommandError } from "./usage-error.ts";

/** Creates the objects of a YAML text, or merges them into those that exist already. */
export async function applyObjects(client: Client, yaml: string): Promise<void> {
  for (const document of documentsOf(yaml)) await applyObject(client, document);
}

function documentsOf(yaml: string): KubeObject[] {
  return yaml
    .split(/^---$/m)
    .filter((text) => /^[^#\s]/m.test(text))
    .map((text) => Bun.YAML.parse(text) as KubeObject);
}

async function applyObject(client: Client, object: KubeObject): Promise<void> {
  const groupVersion = parseApiVersion(object.apiVersion ?? "");
  const definition =
    groupVersion && findKind(groupVersion.group, groupVersion.version, object.kind ?? "");
  if (definition === undefined) {
    throw new CommandError(`this cluster serves no ${object.kind} of ${object.apiVersion}`);
  }
  const namespace = object.metadata.namespace ?? "default";
  const resource = client.resource<KubeObject>(
    definition,
    definition.namespaced ? namespace : undefined,
  );
  try {
    await resource.create(object);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    await resource.patch(object.metadata.name ?? "", object, { type: "strategic" });
  }
}
