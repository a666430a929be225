import { expect, test } from "bun:test";
import { apiFixture, MAPS, USER_TOKEN } from "../testing/api-fixture.ts";

test("auditLine: each request leaves who, what and how it ended, and no body", async () => {
  const lines: string[] = [];
  const api = await apiFixture({
    audit: { write: (line) => lines.push(line) },
    addressOf: () => "192.0.2.7",
  });
  await api.send("POST", MAPS, { metadata: { name: "one" }, data: { key: "not-in-the-log" } });
  await api.send("GET", `${MAPS}/one`, undefined, { authorization: `Bearer ${USER_TOKEN}` });
  await api.send("GET", "/version", undefined, { "impersonate-user": "jane" });
  await api.send("GET", MAPS, undefined, { authorization: "Bearer nobody" });
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.join("")).not.toContain("not-in-the-log");
  expect(events[0]).toMatchObject({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    stage: "ResponseComplete",
    requestURI: MAPS,
    verb: "create",
    user: { username: "admin", groups: ["system:masters", "system:authenticated"] },
    sourceIPs: ["192.0.2.7"],
    objectRef: { resource: "configmaps", namespace: "default", name: "one", apiVersion: "v1" },
    responseStatus: { code: 201 },
    annotations: { "authorization.k8s.io/decision": "allow" },
  });
  expect(events[1]).toMatchObject({
    user: { username: "bob" },
    responseStatus: { code: 403, reason: "Forbidden", status: "Failure" },
    annotations: { "authorization.k8s.io/decision": "forbid" },
  });
  expect(events[2]).toMatchObject({
    user: { username: "admin" },
    impersonatedUser: { username: "jane" },
  });
  expect(events[3]).toMatchObject({ user: {}, responseStatus: { code: 401 } });
});
