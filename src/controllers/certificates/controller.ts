import type { CertificateSigningRequest } from "../../api/index.ts";
import { CERTIFICATE_SIGNING_REQUESTS, isConflict, isNotFound } from "../../client/index.ts";
import type { Informer, ReconcileResult } from "../../client/index.ts";
import { unreachable } from "../../lib/index.ts";
import type { ControllerContext } from "../controller-context.ts";
import { runController } from "../run-controller.ts";
import { planRequest } from "./plan.ts";

/** A client certificate, PEM, for a request; rejects when it is not a request in order. */
export type SignCertificate = (request: string, lifetimeMs: number) => Promise<string>;

export interface CertificatesOptions {
  readonly sign: SignCertificate;
  /** The longest that a certificate may last; a year unless given. */
  readonly maxLifetimeMs?: number | undefined;
}

/** Issues what was approved, and removes requests that nobody will look at any more. */
export function startCertificatesController(
  context: ControllerContext,
  options: CertificatesOptions,
): void {
  new CertificatesController(context, options).start();
}

class CertificatesController {
  readonly #context: ControllerContext;
  readonly #options: CertificatesOptions;
  readonly #requests: Informer<CertificateSigningRequest>;

  constructor(context: ControllerContext, options: CertificatesOptions) {
    this.#context = context;
    this.#options = options;
    this.#requests = context.informers.for(CERTIFICATE_SIGNING_REQUESTS);
  }

  start(): void {
    const queue = runController(this.#context, {
      name: "certificatesigningrequest",
      informers: [this.#requests],
      allKeys: () => this.#requests.lister.keys(),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#requests.addHandler({
      onAdd: ({ metadata }) => queue.add(metadata.name ?? ""),
      onUpdate: (_, { metadata }) => queue.add(metadata.name ?? ""),
    });
  }

  async #reconcile(name: string): Promise<ReconcileResult | void> {
    const request = this.#requests.lister.get("", name);
    if (request === undefined || request.metadata.deletionTimestamp !== undefined) return;
    const { clock, client } = this.#context;
    const { maxLifetimeMs } = this.#options;
    const nowMs = clock.now();
    const action = planRequest(request, { nowMs, maxLifetimeMs });
    const requests = client.resource(CERTIFICATE_SIGNING_REQUESTS);
    try {
      switch (action.type) {
        case "sign":
          await requests.updateStatus(await this.#answered(request, action));
          return;
        case "fail":
          await requests.updateStatus(failed(request, action.reason, action.message));
          return;
        case "delete":
          await requests.delete(name, { preconditions: { uid: request.metadata.uid ?? "" } });
          return;
        case "wait":
          return { requeueAfterMs: action.untilMs - nowMs };
        default:
          return unreachable(action);
      }
    } catch (error) {
      // What changed meanwhile comes again.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  async #answered(
    request: CertificateSigningRequest,
    wanted: { readonly request: string; readonly lifetimeMs: number },
  ): Promise<CertificateSigningRequest> {
    try {
      const pem = await this.#options.sign(wanted.request, wanted.lifetimeMs);
      const certificate = Buffer.from(pem).toString("base64");
      return { ...request, status: { ...request.status, certificate } };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return failed(request, "SignerValidationFailure", message);
    }
  }
}

function failed(
  request: CertificateSigningRequest,
  reason: string,
  message: string,
): CertificateSigningRequest {
  const condition = { type: "Failed", status: "True", reason, message };
  const conditions = [...(request.status?.conditions ?? []), condition];
  return { ...request, status: { ...request.status, conditions } };
}
