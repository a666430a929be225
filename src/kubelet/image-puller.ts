import type { Container, Pod } from "../api/index.ts";
import type { Clock } from "../lib/index.ts";
import { type ContainerRuntime, type ImageStatus, RuntimeError } from "../runtime/index.ts";
import type { PodReferences } from "./environment.ts";
import type { PodEvents } from "./pod-events.ts";
import { pullCredentials } from "./pull-credentials.ts";
import { INITIAL_BACKOFF_MS, MAX_BACKOFF_MS } from "./restart-backoff.ts";
import { StartFailure } from "./start-failure.ts";

export interface ImagePullerOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly events: PodEvents;
}

export interface EnsureOptions {
  readonly references: PodReferences;
  readonly signal: AbortSignal;
  /** A runtime that was asked for by hand. */
  readonly handler?: string;
}

interface Failed {
  readonly delayMs: number;
  readonly until: number;
  readonly message: string;
}

/** Between the failure and the back-off, so that both can be seen in the pod's status. */
const FAILURE_SHOWN_MS = 1000;
/** Failed pulls that are remembered; the oldest is forgotten, which only means an early retry. */
export const MAX_REMEMBERED_FAILURES = 1024;

/** Sees to it that a container's image is on the node, by its pull policy. */
export class ImagePuller {
  readonly #options: ImagePullerOptions;
  /** `uid/image` → when to try again. */
  readonly #failed = new Map<string, Failed>();
  /** Pulls that began before the pod had a sandbox: their events are told. */
  readonly #begun = new Map<string, "pulling" | ImageStatus>();

  constructor(options: ImagePullerOptions) {
    this.#options = options;
  }

  /** Throws {@link StartFailure} with the waiting reason and when to try again. */
  async ensure(pod: Pod, container: Container, options: EnsureOptions): Promise<ImageStatus> {
    const { runtime, events } = this.#options;
    const image = container.image ?? "";
    const policy = container.imagePullPolicy ?? "IfNotPresent";
    const begun = this.#begun.get(this.#key(pod, image));
    this.#begun.delete(this.#key(pod, image));
    if (typeof begun === "object") return begun;
    const present = await this.#present(pod, container, image, options.handler);
    if (present !== undefined && policy !== "Always") {
      const found = "already present on machine and can be accessed by the pod";
      const text = `Container image "${image}" ${found}`;
      events.container(pod, container.name, "Normal", "Pulled", text);
      return present;
    }
    if (policy === "Never") {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      events.container(pod, container.name, "Warning", "ErrImageNeverPull", message);
      events.container(pod, container.name, "Warning", "Failed", "Error: ErrImageNeverPull");
      throw new StartFailure("ErrImageNeverPull", message, { retryAfterMs: INITIAL_BACKOFF_MS });
    }
    this.#refuseEarly(pod, container, image);
    if (begun !== "pulling") this.#tellPulling(pod, container);
    const { handler } = options;
    const auth = pullCredentials(pod, image, options.references);
    const begunMs = this.#options.clock.monotonic();
    try {
      const pulled = await runtime.pullImage(image, {
        signal: options.signal,
        ...(auth === undefined ? {} : { auth }),
        ...(handler === undefined ? {} : { handler }),
      });
      this.#failed.delete(this.#key(pod, image));
      this.#tellPulled(pod, container, pulled, this.#options.clock.monotonic() - begunMs);
      return pulled;
    } catch (error) {
      throw this.#failure(pod, container, image, error);
    }
  }

  /**
   * Finds out what an image is before the pod has a place to run in, by pulling as much of it as
   * that takes: a module whole, of a container image its manifest. Throws {@link StartFailure}.
   */
  async identify(pod: Pod, container: Container, options: EnsureOptions): Promise<void> {
    const { runtime, clock } = this.#options;
    const image = container.image ?? "";
    const key = this.#key(pod, image);
    if ((await this.#present(pod, container, image, options.handler)) !== undefined) return;
    if (container.imagePullPolicy === "Never") {
      await this.ensure(pod, container, options);
      return;
    }
    this.#refuseEarly(pod, container, image);
    if (!this.#begun.has(key)) this.#tellPulling(pod, container);
    this.#begun.set(key, "pulling");
    const auth = pullCredentials(pod, image, options.references);
    const begunMs = clock.monotonic();
    try {
      const found = await runtime.pullImage(image, {
        signal: options.signal,
        kindOnly: true,
        ...(auth === undefined ? {} : { auth }),
      });
      if (found.kind !== "wasm") return;
      this.#tellPulled(pod, container, found, clock.monotonic() - begunMs);
      this.#begun.set(key, found);
      this.#failed.delete(key);
    } catch (error) {
      this.#begun.delete(key);
      throw this.#failure(pod, container, image, error);
    }
  }

  forget(uid: string): void {
    for (const known of [this.#failed, this.#begun]) {
      for (const key of known.keys()) if (key.startsWith(`${uid}/`)) known.delete(key);
    }
  }

  async #present(
    pod: Pod,
    container: Container,
    image: string,
    handler: string | undefined,
  ): Promise<ImageStatus | undefined> {
    try {
      const named = handler === undefined ? {} : { handler };
      return await this.#options.runtime.imageStatus(image, named);
    } catch (error) {
      throw this.#failure(pod, container, image, error);
    }
  }

  #refuseEarly(pod: Pod, container: Container, image: string): void {
    const failed = this.#failed.get(this.#key(pod, image));
    const now = this.#options.clock.now();
    if (failed === undefined || now >= failed.until) return;
    const { events } = this.#options;
    const text = `Back-off pulling image "${image}"`;
    events.container(pod, container.name, "Normal", "BackOff", text);
    events.container(pod, container.name, "Warning", "Failed", "Error: ImagePullBackOff");
    const message = `${text}: ErrImagePull: ${failed.message}`;
    throw new StartFailure("ImagePullBackOff", message, { retryAfterMs: failed.until - now });
  }

  #tellPulling(pod: Pod, { name, image = "" }: Container): void {
    this.#options.events.container(pod, name, "Normal", "Pulling", `Pulling image "${image}"`);
  }

  #tellPulled(pod: Pod, container: Container, image: ImageStatus, tookMs: number): void {
    const took = tookMs < 1000 ? `${Math.round(tookMs)}ms` : `${(tookMs / 1000).toFixed(3)}s`;
    const text =
      `Successfully pulled image "${container.image}" in ${took} (${took} including waiting). ` +
      `Image size: ${image.sizeBytes} bytes.`;
    this.#options.events.container(pod, container.name, "Normal", "Pulled", text);
  }

  #failure(pod: Pod, container: Container, image: string, error: unknown): StartFailure {
    const { events, clock } = this.#options;
    const message = (error as Error).message;
    if (error instanceof RuntimeError && error.code === "image-invalid-reference") {
      const text = `Failed to apply default image tag "${image}": ${message}`;
      events.container(pod, container.name, "Warning", "InspectFailed", text);
      events.container(pod, container.name, "Warning", "Failed", "Error: InvalidImageName");
      return new StartFailure("InvalidImageName", text, { retryAfterMs: MAX_BACKOFF_MS });
    }
    const key = this.#key(pod, image);
    const before = this.#failed.get(key)?.delayMs ?? INITIAL_BACKOFF_MS / 2;
    const delayMs = Math.min(before * 2, MAX_BACKOFF_MS);
    this.#failed.delete(key);
    this.#failed.set(key, { delayMs, until: clock.now() + delayMs, message });
    const oldest = this.#failed.keys().next().value;
    if (this.#failed.size > MAX_REMEMBERED_FAILURES && oldest !== undefined) {
      this.#failed.delete(oldest);
    }
    const text = `Failed to pull image "${image}": ${message}`;
    events.container(pod, container.name, "Warning", "Failed", text);
    events.container(pod, container.name, "Warning", "Failed", "Error: ErrImagePull");
    return new StartFailure("ErrImagePull", message, { retryAfterMs: FAILURE_SHOWN_MS });
  }

  #key(pod: Pod, image: string): string {
    return `${pod.metadata.uid}/${image}`;
  }
}
