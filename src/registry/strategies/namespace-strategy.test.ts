import { expect, test } from "bun:test";
import { CONFIG_MAPS, NAMESPACES } from "../../api/index.ts";
import { StatusError } from "../../apimachinery/index.ts";
import { configMap, memoryRegistry } from "../testing/registry-fixture.ts";

test("namespaceStrategy: ends when it is finalized, and takes nothing new", async () => {
  await using fixture = await memoryRegistry();
  const namespaces = fixture.resource(NAMESPACES);
  const maps = fixture.resource(CONFIG_MAPS);
  const created = await namespaces.create("", {
    kind: "Namespace",
    apiVersion: "v1",
    metadata: { name: "team" },
  });
  expect(created.object).toMatchObject({
    metadata: { labels: { "kubernetes.io/metadata.name": "team" } },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" },
  });
  const marked = await namespaces.delete("", "team");
  expect(marked.removed).toBe(false);
  expect(marked.stored.object["status"]).toEqual({ phase: "Terminating" });
  const refused = await maps.create("team", configMap("a")).catch((error: unknown) => error);
  expect((refused as StatusError).message).toBe(
    'configmaps "a" is forbidden: unable to create new content in namespace team ' +
      "because it is being terminated",
  );
  expect((refused as StatusError).status.details?.causes?.[0]?.reason).toBe("NamespaceTerminating");
  await namespaces.update("", "team", (current) => ({ ...current, spec: { finalizers: [] } }), {
    scope: "finalize",
  });
  const gone = await namespaces.get("", "team").catch((error: unknown) => error);
  expect((gone as StatusError).code).toBe(404);
});

test("namespaceStrategy: the namespaces of the system cannot be deleted", async () => {
  await using fixture = await memoryRegistry();
  const refused = await fixture
    .resource(NAMESPACES)
    .delete("", "default")
    .catch((error: unknown) => error);
  expect((refused as StatusError).code).toBe(403);
  expect((refused as StatusError).message).toBe(
    'namespaces "default" is forbidden: this namespace may not be deleted',
  );
});
