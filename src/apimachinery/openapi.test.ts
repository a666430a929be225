import { describe, expect, test } from "bun:test";
import { resourceDefinitions, schemaOf, typeTable } from "../api/index.ts";
import { getField, isJsonObject, type JsonObject } from "./json-value.ts";
import { openApiV2Protobuf } from "./openapi-protobuf.ts";
import { openApiName, type OpenApiSource, typeNameOfKind } from "./openapi-source.ts";
import { buildOpenApiV2, buildOpenApiV3 } from "./openapi.ts";

function sourceOf(group: string | undefined): OpenApiSource {
  return {
    resources: resourceDefinitions.filter(
      (definition) => group === undefined || definition.group === group,
    ),
    types: (name) => (Object.hasOwn(typeTable, name) ? schemaOf(name) : undefined),
    describe: (name, field) => (field === "replicas" ? `how many, of ${name}` : undefined),
    title: "Kubun",
    version: "v1",
  };
}

/** The value at a path of keys; fails the test where there is none. */
function at(value: unknown, ...keys: (string | number)[]): unknown {
  return keys.reduce<unknown>((found, key) => {
    if (Array.isArray(found)) return found[Number(key)];
    expect([keys, key, isJsonObject(found)]).toEqual([keys, key, true]);
    return isJsonObject(found) ? getField(found, String(key)) : undefined;
  }, value);
}

function refsOf(value: unknown): string[] {
  const text = JSON.stringify(value);
  return [...new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? ""))];
}

const apps = buildOpenApiV3(sourceOf("apps"));
const deployments = "/apis/apps/v1/namespaces/{namespace}/deployments";

describe("buildOpenApiV3", () => {
  test("buildOpenApiV3: names types the Kubernetes way", () => {
    expect(openApiName("apps.v1.Deployment")).toBe("io.k8s.api.apps.v1.Deployment");
    expect(openApiName("apis.meta.v1.ObjectMeta")).toBe(
      "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    );
    expect(openApiName("util.intstr.IntOrString")).toBe(
      "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    );
    expect(typeNameOfKind({ group: "networking.k8s.io", version: "v1", kind: "Ingress" })).toBe(
      "networking.v1.Ingress",
    );
  });

  test("buildOpenApiV3: offers fieldValidation on the patch of a kind, where kubectl looks", () => {
    const patch = at(apps, "paths", `${deployments}/{name}`, "patch");
    expect(at(patch, "x-kubernetes-group-version-kind")).toEqual({
      group: "apps",
      version: "v1",
      kind: "Deployment",
    });
    const names = (at(patch, "parameters") as JsonObject[]).map((parameter) => parameter["name"]);
    expect(names).toEqual(["pretty", "dryRun", "fieldManager", "fieldValidation", "force"]);
    expect(Object.keys(at(patch, "requestBody", "content") as object)).toEqual([
      "application/json-patch+json",
      "application/merge-patch+json",
      "application/strategic-merge-patch+json",
    ]);
  });

  test("buildOpenApiV3: has Kubernetes' operation ids and actions", () => {
    const idsOf = (path: string): unknown =>
      Object.values(at(apps, "paths", path) as JsonObject)
        .filter((operation) => !Array.isArray(operation))
        .map((operation) => [at(operation, "operationId"), at(operation, "x-kubernetes-action")]);
    expect(idsOf(deployments)).toEqual([
      ["listAppsV1NamespacedDeployment", "list"],
      ["createAppsV1NamespacedDeployment", "post"],
      ["deleteAppsV1CollectionNamespacedDeployment", "deletecollection"],
    ]);
    expect(idsOf(`${deployments}/{name}`)).toEqual([
      ["readAppsV1NamespacedDeployment", "get"],
      ["replaceAppsV1NamespacedDeployment", "put"],
      ["patchAppsV1NamespacedDeployment", "patch"],
      ["deleteAppsV1NamespacedDeployment", "delete"],
    ]);
    expect(idsOf("/apis/apps/v1/deployments")).toEqual([
      ["listAppsV1DeploymentForAllNamespaces", "list"],
    ]);
    expect(idsOf(`${deployments}/{name}/scale`)).toContainEqual([
      "replaceAppsV1NamespacedDeploymentScale",
      "put",
    ]);
  });

  test("buildOpenApiV3: a subresource speaks its own kind", () => {
    const scale = at(apps, "paths", `${deployments}/{name}/scale`, "get");
    expect(at(scale, "x-kubernetes-group-version-kind", "group")).toBe("autoscaling");
    expect(refsOf(scale)).toEqual(["#/components/schemas/io.k8s.api.autoscaling.v1.Scale"]);
  });

  test("buildOpenApiV3: marks kinds, list types, merge keys and atomic maps", () => {
    const schemas = at(apps, "components", "schemas");
    const deployment = at(schemas, "io.k8s.api.apps.v1.Deployment");
    expect(at(deployment, "x-kubernetes-group-version-kind")).toEqual([
      { group: "apps", kind: "Deployment", version: "v1" },
    ]);
    const volumes = at(schemas, "io.k8s.api.core.v1.PodSpec", "properties", "volumes");
    expect(volumes).toMatchObject({
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      "x-kubernetes-patch-merge-key": "name",
      "x-kubernetes-patch-strategy": "merge,retainKeys",
    });
    const selector = at(schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector");
    expect(at(selector, "x-kubernetes-map-type")).toBe("atomic");
    const spec = at(schemas, "io.k8s.api.apps.v1.DeploymentSpec");
    expect(at(spec, "required")).toEqual(["selector", "template"]);
    expect(at(spec, "properties", "replicas")).toEqual({
      type: "integer",
      format: "int32",
      description: "how many, of apps.v1.DeploymentSpec",
    });
    expect(at(spec, "properties", "strategy", "allOf", 0)).toEqual({
      $ref: "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy",
    });
  });

  test("buildOpenApiV3: every reference of every group leads somewhere", () => {
    for (const group of new Set(resourceDefinitions.map((definition) => definition.group))) {
      const document = buildOpenApiV3(sourceOf(group));
      const schemas = at(document, "components", "schemas") as JsonObject;
      for (const ref of refsOf(document)) {
        const schema = getField(schemas, ref.replace("#/components/schemas/", ""));
        expect([ref, isJsonObject(schema)]).toEqual([ref, true]);
      }
    }
  });
});

describe("buildOpenApiV2", () => {
  const document = buildOpenApiV2(sourceOf(undefined));

  test("buildOpenApiV2: every reference leads somewhere", () => {
    const definitions = at(document, "definitions") as JsonObject;
    const refs = refsOf(document);
    expect(refs.length).toBeGreaterThan(300);
    for (const ref of refs) {
      const name = ref.replace("#/definitions/", "");
      expect([ref, isJsonObject(getField(definitions, name))]).toEqual([ref, true]);
    }
  });

  test("buildOpenApiV2: operation ids are unique", () => {
    const ids = [...JSON.stringify(document).matchAll(/"operationId":"([^"]+)"/g)];
    const names = ids.map((match) => match[1]);
    expect(new Set(names).size).toBe(names.length);
  });

  test("buildOpenApiV2: sends the body as a parameter", () => {
    const create = at(document, "paths", "/api/v1/namespaces/{namespace}/pods", "post");
    expect(at(create, "operationId")).toBe("createCoreV1NamespacedPod");
    expect(at(create, "parameters", 0)).toEqual({
      name: "body",
      in: "body",
      required: true,
      schema: { $ref: "#/definitions/io.k8s.api.core.v1.Pod" },
    });
  });

  test("openApiV2Protobuf: holds every path and definition", () => {
    const bytes = openApiV2Protobuf(document);
    const text = new TextDecoder("latin1").decode(bytes);
    expect([...bytes.subarray(0, 5)]).toEqual([0x0a, 3, 0x32, 0x2e, 0x30]);
    for (const name of Object.keys(at(document, "definitions") as object)) {
      expect([name, text.includes(name)]).toEqual([name, true]);
    }
    for (const path of Object.keys(at(document, "paths") as object)) {
      expect([path, text.includes(path)]).toEqual([path, true]);
    }
  });
});
