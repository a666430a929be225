import { expect, test } from "bun:test";
import { OPENAPI_V2_PROTOBUF } from "../../apimachinery/index.ts";
import { apiFixture } from "../testing/api-fixture.ts";

const AGGREGATED = {
  accept:
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
};

test("DiscoveryHandler: lists groups, versions and resources plainly", async () => {
  const { send } = await apiFixture();
  expect((await send("GET", "/api")).json).toMatchObject({
    kind: "APIVersions",
    versions: ["v1"],
  });
  const groups = await send("GET", "/apis");
  const names = (groups.json["groups"] as { name: string }[]).map(({ name }) => name);
  expect(names).toContain("apps");
  expect(names).not.toContain("");
  expect((await send("GET", "/apis/autoscaling")).json).toMatchObject({
    kind: "APIGroup",
    preferredVersion: { groupVersion: "autoscaling/v2", version: "v2" },
  });
  const core = await send("GET", "/api/v1");
  const resources = core.json["resources"] as { name: string }[];
  expect(resources.find(({ name }) => name === "pods")).toMatchObject({
    singularName: "pod",
    namespaced: true,
    kind: "Pod",
    shortNames: ["po"],
    categories: ["all"],
  });
  expect(resources.find(({ name }) => name === "pods/eviction")).toMatchObject({
    group: "policy",
    version: "v1",
    kind: "Eviction",
  });
});

test("DiscoveryHandler: aggregates when asked, and knows what the client has", async () => {
  const { send } = await apiFixture();
  const answer = await send("GET", "/apis", undefined, AGGREGATED);
  expect(answer.headers.get("content-type")).toBe(
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  );
  const etag = answer.headers.get("etag") ?? "";
  const again = await send("GET", "/apis", undefined, { ...AGGREGATED, "if-none-match": etag });
  expect([again.status, again.text]).toEqual([304, ""]);
  const items = answer.json["items"] as { metadata: { name: string } }[];
  expect(items[0]?.metadata.name).toBe("apps");
});

test("DiscoveryHandler: serves OpenAPI documents under their hashes", async () => {
  const { send, clock } = await apiFixture();
  const asked = send("GET", "/openapi/v3");
  await clock.advanceAsync(100, 1);
  const index = await asked;
  const paths = index.json["paths"] as Record<string, { serverRelativeURL: string }>;
  const url = paths["apis/apps/v1"]?.serverRelativeURL ?? "";
  expect(url).toStartWith("/openapi/v3/apis/apps/v1?hash=");
  const document = await send("GET", url);
  expect(document.headers.get("cache-control")).toContain("immutable");
  expect(document.json["openapi"]).toBe("3.0.0");
  const outdated = await send("GET", "/openapi/v3/apis/apps/v1?hash=OLD");
  expect([outdated.status, outdated.headers.get("location")]).toEqual([301, url]);
  expect((await send("GET", "/openapi/v2")).json["swagger"]).toBe("2.0");
  expect((await send("GET", "/openapi/v3/apis/example.com/v1")).status).toBe(404);
});

test("DiscoveryHandler: documents carry the words about types and fields", async () => {
  const { send } = await apiFixture();
  const { json } = await send("GET", "/openapi/v3/apis/apps/v1");
  expect(json).toMatchObject({
    components: {
      schemas: {
        "io.k8s.api.apps.v1.Deployment": { description: expect.stringMatching(/./) },
        "io.k8s.api.apps.v1.DeploymentSpec": {
          properties: { replicas: { description: expect.stringMatching(/./) } },
        },
      },
    },
  });
});

test("DiscoveryHandler: serves OpenAPI v2 as protobuf to who asks for it", async () => {
  const { send } = await apiFixture();
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const answer = await send("GET", "/openapi/v2", undefined, { accept });
  expect(answer.headers.get("content-type")).toBe(OPENAPI_V2_PROTOBUF);
  // Field 1 of the message is the text "2.0".
  expect(answer.text.slice(0, 5)).toBe("\n\u00032.0");
  const plain = await send("GET", "/openapi/v2", undefined, { accept: "application/json" });
  expect(plain.headers.get("etag")).not.toBe(answer.headers.get("etag"));
});
