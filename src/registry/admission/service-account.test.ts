import { expect, test } from "bun:test";
import type { Pod, ServiceAccount } from "../../api/index.ts";
import type { Lookup } from "../lookup.ts";
import { admitServiceAccount } from "./service-account.ts";

const PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

function admitted(pod: Pod, account?: Partial<ServiceAccount>): Pod {
  const { spec } = pod;
  if (spec === undefined) throw new Error("the pod has a spec");
  const found = account === undefined ? undefined : { metadata: {}, ...account };
  const lookup = { find: () => found } as unknown as Pick<Lookup, "find">;
  admitServiceAccount(pod, spec, lookup, { accountTokens: "mounted" });
  return pod;
}

function podOf(spec: Partial<NonNullable<Pod["spec"]>> = {}): Pod {
  const metadata = { name: "web", namespace: "default", uid: "b90d99f6" };
  return { metadata, spec: { containers: [{ name: "app" }], ...spec } };
}

test("admitServiceAccount: every container finds token, certificate and namespace", () => {
  const pod = admitted(podOf({ initContainers: [{ name: "init" }] }), {
    imagePullSecrets: [{ name: "registry" }],
  });
  const [volume] = pod.spec?.volumes ?? [];
  expect(pod.spec).toMatchObject({
    serviceAccountName: "default",
    serviceAccount: "default",
    imagePullSecrets: [{ name: "registry" }],
  });
  expect(volume?.name).toMatch(/^kube-api-access-[b-z2-9]{5}$/);
  expect(volume?.projected).toMatchObject({
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt" } },
      { downwardAPI: { items: [{ path: "namespace" }] } },
    ],
  });
  const mount = { name: volume?.name, mountPath: PATH, readOnly: true };
  for (const container of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
    expect(container.volumeMounts).toEqual([mount as never]);
  }
  const again = structuredClone(pod);
  expect(admitted(again, {})).toEqual(pod);
});

test("admitServiceAccount: who does not want a token gets none, the pod's word first", () => {
  const refused = admitted(podOf(), { automountServiceAccountToken: false });
  expect(refused.spec?.volumes).toBeUndefined();
  const wanted = admitted(podOf({ automountServiceAccountToken: true }), {
    automountServiceAccountToken: false,
  });
  expect(wanted.spec?.volumes).toHaveLength(1);
  const own = podOf({
    containers: [{ name: "app", volumeMounts: [{ name: "x", mountPath: PATH }] }],
  });
  expect(admitted(own, {}).spec?.volumes).toBeUndefined();
});

test("admitServiceAccount: a missing account is an error, unless it is the default", () => {
  expect(() => admitted(podOf({ serviceAccountName: "none" }))).toThrow(
    'pods "web" is forbidden: error looking up service account default/none: ' +
      'serviceaccount "none" not found',
  );
  expect(admitted(podOf()).spec?.volumes).toHaveLength(1);
});
