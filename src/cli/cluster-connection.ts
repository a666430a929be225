import type { Client } from "../client/index.ts";

/** A running cluster as the verbs see it. */
export interface ClusterConnection {
  readonly client: Client;
  readonly version: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly startedAt: string;
  /** `https://HOST:PORT` of the API. */
  readonly server: string;
  /** `http://HOST:PORT` where Ingress listens. */
  readonly ingress: string;
  /** `https://HOST:PORT` where Ingress listens with TLS. */
  readonly ingressHttps?: string;
  /** `HOST:PORT` where the cluster's names are looked up. */
  readonly dns?: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
}
