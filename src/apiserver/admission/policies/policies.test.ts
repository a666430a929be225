import { describe, expect, test } from "bun:test";
import {
  apiFixture,
  type ApiFixture,
  DEPLOYMENTS,
  deploymentBody,
  MAPS,
} from "../../testing/api-fixture.ts";

const ROOT = "/apis/admissionregistration.k8s.io/v1";
const POLICIES = `${ROOT}/validatingadmissionpolicies`;
const BINDINGS = `${ROOT}/validatingadmissionpolicybindings`;

const DEPLOYMENT_RULE = {
  apiGroups: ["apps"],
  apiVersions: ["v1"],
  operations: ["CREATE", "UPDATE"],
  resources: ["deployments"],
};

type Fields = Readonly<Record<string, unknown>>;

async function withPolicy(spec: Fields, binding: Fields = {}): Promise<ApiFixture> {
  const fixture = await apiFixture();
  const policy = {
    metadata: { name: "few" },
    spec: { matchConstraints: { resourceRules: [DEPLOYMENT_RULE] }, ...spec },
  };
  expect(await fixture.send("POST", POLICIES, policy)).toMatchObject({ status: 201 });
  const bound = {
    metadata: { name: "everywhere" },
    spec: { policyName: "few", validationActions: ["Deny"], ...binding },
  };
  expect(await fixture.send("POST", BINDINGS, bound)).toMatchObject({ status: 201 });
  return fixture;
}

const FEW = { validations: [{ expression: "object.spec.replicas <= 5" }] };

describe("PolicyAdmission", () => {
  test("PolicyAdmission: refuses what breaks a rule, in Kubernetes' words", async () => {
    const { send } = await withPolicy(FEW);
    const message =
      "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' with binding " +
      "'everywhere' denied request: failed expression: object.spec.replicas <= 5";
    const refused = await send("POST", DEPLOYMENTS, deploymentBody("web", 6));
    expect(refused.json).toMatchObject({ code: 422, reason: "Invalid", message });
    expect((await send("POST", DEPLOYMENTS, deploymentBody("web", 5))).status).toBe(201);
    const merge = { "content-type": "application/merge-patch+json" };
    const patch = { spec: { replicas: 9 } };
    expect((await send("PATCH", `${DEPLOYMENTS}/web`, patch, merge)).status).toBe(422);
    // Rules about deployments are none about their scale: that is a resource of its own.
    expect((await send("POST", MAPS, { metadata: { name: "m" } })).status).toBe(201);
  });

  test("PolicyAdmission: messages, reasons and conditions are the policy's own", async () => {
    const { send } = await withPolicy({
      matchConditions: [{ name: "not-mine", expression: "object.metadata.name != 'mine'" }],
      variables: [{ name: "count", expression: "object.spec.replicas" }],
      validations: [
        {
          expression: "variables.count <= 5",
          messageExpression: "'no more than 5, not ' + string(variables.count)",
          reason: "Forbidden",
        },
      ],
    });
    const refused = await send("POST", DEPLOYMENTS, deploymentBody("web", 6));
    expect(refused.json).toMatchObject({ code: 403, reason: "Forbidden" });
    expect(refused.json["message"]).toEndWith("denied request: no more than 5, not 6");
    expect((await send("POST", DEPLOYMENTS, deploymentBody("mine", 6))).status).toBe(201);
  });

  test("PolicyAdmission: parameters come from objects of the namespace", async () => {
    const { send } = await withPolicy(
      {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        validations: [{ expression: "object.spec.replicas <= int(params.data.most)" }],
      },
      { paramRef: { name: "limits", parameterNotFoundAction: "Deny" } },
    );
    const none = await send("POST", DEPLOYMENTS, deploymentBody("web", 1));
    expect(none.json["message"]).toContain("no params found for policy binding");
    await send("POST", MAPS, { metadata: { name: "limits" }, data: { most: "3" } });
    expect((await send("POST", DEPLOYMENTS, deploymentBody("web", 4))).status).toBe(422);
    expect((await send("POST", DEPLOYMENTS, deploymentBody("web", 3))).status).toBe(201);
  });

  test("PolicyAdmission: warns instead of denying; what fails may be ignored", async () => {
    const { send } = await withPolicy(FEW, { validationActions: ["Warn"] });
    const warned = await send("POST", DEPLOYMENTS, deploymentBody("web", 6));
    expect(warned.status).toBe(201);
    expect(warned.headers.get("warning")).toContain(
      "Validation failed for ValidatingAdmissionPolicy 'few' with binding 'everywhere'",
    );
    const broken = { validations: [{ expression: "object.spec.nothing > 1" }] };
    const ignoring = await withPolicy({ ...broken, failurePolicy: "Ignore" });
    expect((await ignoring.send("POST", DEPLOYMENTS, deploymentBody("web"))).status).toBe(201);
    const failing = await withPolicy(broken);
    const refused = await failing.send("POST", DEPLOYMENTS, deploymentBody("web"));
    expect(refused.json["message"]).toContain(
      "expression 'object.spec.nothing > 1' resulted in error: No such key: nothing",
    );
  });

  test("PolicyAdmission: deletions are judged by what was there", async () => {
    const rule = {
      apiGroups: [""],
      apiVersions: ["v1"],
      operations: ["DELETE"],
      resources: ["configmaps"],
    };
    const { send } = await withPolicy({
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression: "!has(oldObject.metadata.labels)", message: "kept" }],
    });
    await send("POST", MAPS, { metadata: { name: "a", labels: { x: "y" } } });
    await send("POST", MAPS, { metadata: { name: "b" } });
    expect((await send("DELETE", `${MAPS}/a`)).json["message"]).toContain("denied request: kept");
    expect((await send("DELETE", `${MAPS}/b`)).status).toBe(200);
  });
});
