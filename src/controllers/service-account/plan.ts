import type { ConfigMap, Namespace, ServiceAccount } from "../../api/index.ts";

export const DEFAULT_SERVICE_ACCOUNT = "default";
export const ROOT_CA_CONFIG_MAP = "kube-root-ca.crt";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal " +
  "endpoints such as the internal service IP or kubernetes.default.svc.";

export interface NamespaceContent {
  readonly namespace: Namespace;
  readonly serviceAccount: ServiceAccount | undefined;
  readonly configMap: ConfigMap | undefined;
  /** The certificate pods trust the API server by (PEM); none leaves the ConfigMap alone. */
  readonly rootCa: string | undefined;
}

export type ContentAction =
  | { readonly type: "create-service-account"; readonly serviceAccount: ServiceAccount }
  | { readonly type: "create-config-map"; readonly configMap: ConfigMap }
  | { readonly type: "update-config-map"; readonly configMap: ConfigMap };

/** What every namespace has from the start, and gets back when somebody takes it away. */
export function planNamespaceContent(content: NamespaceContent): readonly ContentAction[] {
  const { namespace, serviceAccount, configMap, rootCa } = content;
  if (namespace.metadata.deletionTimestamp !== undefined) return [];
  const { name = "" } = namespace.metadata;
  const actions: ContentAction[] = [];
  if (serviceAccount === undefined) {
    const metadata = { name: DEFAULT_SERVICE_ACCOUNT, namespace: name };
    actions.push({ type: "create-service-account", serviceAccount: { metadata } });
  }
  if (rootCa === undefined) return actions;
  const data = { "ca.crt": rootCa };
  if (configMap === undefined) {
    const annotations = { "kubernetes.io/description": DESCRIPTION };
    const metadata = { name: ROOT_CA_CONFIG_MAP, namespace: name, annotations };
    actions.push({ type: "create-config-map", configMap: { metadata, data } });
  } else if (configMap.data?.["ca.crt"] !== rootCa || Object.keys(configMap.data).length !== 1) {
    actions.push({ type: "update-config-map", configMap: { ...configMap, data } });
  }
  return actions;
}
