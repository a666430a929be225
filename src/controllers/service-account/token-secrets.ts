import type { Secret, ServiceAccount } from "../../api/index.ts";
import {
  createInformer,
  isConflict,
  isNotFound,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "../../client/index.ts";
import type { Informer } from "../../client/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";

const TYPE = "kubernetes.io/service-account-token";
const NAME_ANNOTATION = "kubernetes.io/service-account.name";
const UID_ANNOTATION = "kubernetes.io/service-account.uid";

/** The token of a Secret, which does not end by itself. */
export type SignAccountToken = (
  namespace: string,
  account: { readonly name: string; readonly uid: string },
  secret: string,
) => Promise<string>;

export interface TokenSecretsOptions {
  readonly sign: SignAccountToken;
  /** The certificate (PEM) that clients trust the API server by. */
  readonly rootCa: string;
}

/**
 * Fills the Secrets of type kubernetes.io/service-account-token that people make for programs
 * outside the cluster, and removes those whose account is gone.
 */
export function startTokenSecretsController(
  context: ControllerContext,
  options: TokenSecretsOptions,
): void {
  new TokenSecretsController(context, options).start();
}

class TokenSecretsController {
  readonly #context: ControllerContext;
  readonly #options: TokenSecretsOptions;
  /** Of this type alone: other Secrets are nobody's business here. */
  readonly #secrets: Informer<Secret>;
  readonly #accounts: Informer<ServiceAccount>;

  constructor(context: ControllerContext, options: TokenSecretsOptions) {
    this.#context = context;
    this.#options = options;
    this.#accounts = context.informers.for(SERVICE_ACCOUNTS);
    const fieldSelector = `type=${TYPE}`;
    this.#secrets = createInformer(context.client, SECRETS, { ...context, fieldSelector });
  }

  start(): void {
    this.#secrets.start(this.#context.signal);
    const queue = runController(this.#context, {
      name: "serviceaccount-token",
      informers: [this.#secrets, this.#accounts],
      allKeys: () => this.#secrets.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    const keyOf = ({ metadata }: Secret): string => `${metadata.namespace}/${metadata.name}`;
    this.#secrets.addHandler({
      onAdd: (secret) => queue.add(keyOf(secret)),
      onUpdate: (_, secret) => queue.add(keyOf(secret)),
    });
    const accountChanged = ({ metadata }: ServiceAccount): void => {
      for (const secret of this.#secrets.lister.list()) {
        const { namespace, annotations } = secret.metadata;
        const isOf = annotations?.[NAME_ANNOTATION] === metadata.name;
        if (isOf && namespace === metadata.namespace) queue.add(keyOf(secret));
      }
    };
    this.#accounts.addHandler({ onAdd: accountChanged, onDelete: accountChanged });
  }

  async #reconcile(key: string): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const secret = this.#secrets.lister.get(namespace, name);
    if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) return;
    const accountName = secret.metadata.annotations?.[NAME_ANNOTATION] ?? "";
    const known = secret.metadata.annotations?.[UID_ANNOTATION] ?? "";
    const secrets = this.#context.client.resource(SECRETS, namespace);
    try {
      const account = await this.#latestAccount(namespace, accountName);
      const uid = account?.metadata.uid ?? "";
      if (account === undefined || (known !== "" && known !== uid)) {
        await secrets.delete(name, { preconditions: { uid: secret.metadata.uid ?? "" } });
        return;
      }
      const filled = await this.#filled(secret, { name: accountName, uid });
      if (filled !== undefined) await secrets.update(filled);
    } catch (error) {
      // What changed meanwhile comes again.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  /** The cache may be behind: what it does not have is asked for before a Secret goes. */
  async #latestAccount(namespace: string, name: string): Promise<ServiceAccount | undefined> {
    const present = this.#accounts.lister.get(namespace, name);
    if (present !== undefined || name === "") return present;
    try {
      return await this.#context.client.resource(SERVICE_ACCOUNTS, namespace).get(name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Undefined when nothing is missing. */
  async #filled(
    secret: Secret,
    account: { readonly name: string; readonly uid: string },
  ): Promise<Secret | undefined> {
    const { metadata, data = {} } = secret;
    const { namespace = "", name = "" } = metadata;
    const encoded = (text: string): string => Buffer.from(text).toString("base64");
    const complete = {
      "ca.crt": data["ca.crt"] ?? encoded(this.#options.rootCa),
      namespace: data["namespace"] ?? encoded(namespace),
      token: data["token"] ?? encoded(await this.#options.sign(namespace, account, name)),
    };
    const isWhole = Object.keys(complete).every((key) => data[key] !== undefined);
    if (isWhole && metadata.annotations?.[UID_ANNOTATION] === account.uid) return undefined;
    const annotations = { ...metadata.annotations, [UID_ANNOTATION]: account.uid };
    return { ...secret, metadata: { ...metadata, annotations }, data: { ...data, ...complete } };
  }
}
