import type { ConfigMap, Namespace, ServiceAccount } from "../../api/index.ts";
import {
  CONFIG_MAPS,
  createInformer,
  isAlreadyExists,
  isNamespaceTerminating,
  NAMESPACES,
  SERVICE_ACCOUNTS,
} from "../../client/index.ts";
import type { Informer } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { DEFAULT_SERVICE_ACCOUNT, planNamespaceContent, ROOT_CA_CONFIG_MAP } from "./plan.ts";
import type { ContentAction } from "./plan.ts";

/** Gives each namespace its default ServiceAccount and the certificate to trust the API by. */
export function startServiceAccountController(
  context: ControllerContext,
  options: { readonly rootCa?: string } = {},
): void {
  new ServiceAccountController(context, options.rootCa).start();
}

class ServiceAccountController {
  readonly #context: ControllerContext;
  readonly #rootCa: string | undefined;
  readonly #namespaces: Informer<Namespace>;
  readonly #serviceAccounts: Informer<ServiceAccount>;
  /** Only the one ConfigMap of each namespace: users' ConfigMaps may be many and large. */
  readonly #configMaps: Informer<ConfigMap>;

  constructor(context: ControllerContext, rootCa: string | undefined) {
    const { client, informers } = context;
    this.#context = context;
    this.#rootCa = rootCa;
    this.#namespaces = informers.for(NAMESPACES);
    this.#serviceAccounts = informers.for(SERVICE_ACCOUNTS);
    const fieldSelector = `metadata.name=${ROOT_CA_CONFIG_MAP}`;
    this.#configMaps = createInformer(client, CONFIG_MAPS, { ...context, fieldSelector });
  }

  start(): void {
    const informers = [this.#namespaces, this.#serviceAccounts, this.#configMaps];
    if (this.#rootCa === undefined) informers.pop();
    else this.#configMaps.start(this.#context.signal);
    const queue = runController(this.#context, {
      name: "serviceaccount",
      informers,
      allKeys: () => this.#namespaces.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#namespaces.addHandler({
      onAdd: ({ metadata }) => queue.add(metadata.name ?? ""),
      onUpdate: (_, { metadata }) => queue.add(metadata.name ?? ""),
    });
    this.#serviceAccounts.addHandler({
      onDelete: ({ metadata }) => {
        if (metadata.name === DEFAULT_SERVICE_ACCOUNT) queue.add(metadata.namespace ?? "");
      },
    });
    this.#configMaps.addHandler({
      onUpdate: (_, { metadata }) => queue.add(metadata.namespace ?? ""),
      onDelete: ({ metadata }) => queue.add(metadata.namespace ?? ""),
    });
  }

  async #reconcile(name: string): Promise<void> {
    const namespace = this.#namespaces.lister.get("", name);
    if (namespace === undefined) return;
    const serviceAccount = this.#serviceAccounts.lister.get(name, DEFAULT_SERVICE_ACCOUNT);
    const configMap = this.#configMaps.lister.get(name, ROOT_CA_CONFIG_MAP);
    const content = { namespace, serviceAccount, configMap, rootCa: this.#rootCa };
    for (const action of planNamespaceContent(content)) await this.#do(name, action);
  }

  async #do(namespace: string, action: ContentAction): Promise<void> {
    const { client } = this.#context;
    try {
      switch (action.type) {
        case "create-service-account":
          await client.resource(SERVICE_ACCOUNTS, namespace).create(action.serviceAccount);
          break;
        case "create-config-map":
          await client.resource(CONFIG_MAPS, namespace).create(action.configMap);
          break;
        case "update-config-map":
          await client.resource(CONFIG_MAPS, namespace).update(action.configMap);
          break;
        default:
          unreachable(action);
      }
    } catch (error) {
      // Made by an earlier look that the cache has not heard of, or no longer welcome.
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error;
    }
  }
}
