import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node";

/*
 * A program as a user of Kubernetes' JavaScript client writes one: an informer on the ConfigMaps
 * of a namespace. `bun watch-config-maps.ts KUBECONFIG NAMESPACE` prints each change on a line.
 */
const [kubeconfig = "", namespace = ""] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const api = config.makeApiClient(CoreV1Api);
const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
  api.listNamespacedConfigMap({ namespace }),
);
const print = (what: string) => (object: { metadata?: { name?: string } }) =>
  void process.stdout.write(`${what} ${object.metadata?.name}\n`);
informer.on("add", print("add"));
informer.on("update", print("update"));
informer.on("delete", print("delete"));
informer.on("connect", () => void process.stdout.write("connected\n"));
informer.on("error", (error: unknown) => {
  process.stdout.write(`error ${String(error)}\n`);
  process.exit(1);
});
await informer.start();
