import {
  type ImageStatus,
  type PullOptions,
  RuntimeError,
  type RuntimeErrorCode,
} from "../runtime.ts";
import type { CriClient } from "./cri/cri-client.ts";
import { asPullError, asRuntimeError } from "./cri/cri-error.ts";
import type { ListImagesResponse } from "./cri/messages.ts";
import { IMAGE } from "./cri/methods.ts";
import type { Decoded } from "./cri/protobuf.ts";
import { PAUSE_IMAGE } from "./daemon/pause-image.ts";

type CriImage = Decoded<typeof ListImagesResponse>["images"][number];

const CALL_TIMEOUT_MS = 30_000;
/** A pull is given up when nobody wants it any more; this is for a server that hangs. */
const PULL_TIMEOUT_MS = 30 * 60_000;

/** The verbs for images, over a client that is asked for with each call. */
export class OciImages {
  readonly #client: () => Promise<CriClient>;

  constructor(client: () => Promise<CriClient>) {
    this.#client = client;
  }

  async pull(reference: string, { auth, signal }: PullOptions): Promise<ImageStatus> {
    const client = await this.#client();
    const request = { image: { image: reference }, auth };
    await client
      .call(IMAGE.pullImage, request, { timeoutMs: PULL_TIMEOUT_MS, signal })
      .catch((error: unknown) => {
        throw asPullError(error);
      });
    const status = await this.status(reference);
    if (status === undefined) {
      throw new RuntimeError("image-damaged", `${reference} was pulled, and is not there`);
    }
    return status;
  }

  async status(reference: string): Promise<ImageStatus | undefined> {
    const client = await this.#client();
    const request = { image: { image: reference } };
    const { image } = await client
      .call(IMAGE.imageStatus, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrow("image-invalid-reference"));
    return image === undefined ? undefined : imageStatusOf(image, reference);
  }

  async list(): Promise<readonly ImageStatus[]> {
    const client = await this.#client();
    const { images } = await client
      .call(IMAGE.listImages, {}, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrow("image-damaged"));
    return images
      .filter(({ repoTags }) => !repoTags.includes(PAUSE_IMAGE))
      .map((image) => imageStatusOf(image, image.repoTags[0] ?? image.repoDigests[0] ?? image.id));
  }

  async remove(reference: string): Promise<void> {
    const client = await this.#client();
    const request = { image: { image: reference } };
    await client
      .call(IMAGE.removeImage, request, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrow("image-damaged"));
  }

  async usedBytes(): Promise<number> {
    const client = await this.#client();
    const { imageFilesystems } = await client
      .call(IMAGE.imageFsInfo, {}, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(rethrow("image-damaged"));
    return imageFilesystems.reduce((sum, { usedBytes }) => sum + (usedBytes?.value ?? 0), 0);
  }
}

function rethrow(otherwise: RuntimeErrorCode): (error: unknown) => never {
  return (error) => {
    throw asRuntimeError(error, otherwise);
  };
}

function imageStatusOf(image: CriImage, reference: string): ImageStatus {
  const digest = image.repoDigests[0] ?? `${reference.replace(/@.*$/, "")}@${image.id}`;
  const user = image.uid === undefined ? image.username : String(image.uid.value);
  return {
    reference,
    imageRef: digest,
    kind: "oci",
    sizeBytes: image.size,
    ...(user === "" ? {} : { user }),
  };
}
