import type { PreviewTwo, PreviewTwoOptions } from "./preview-two.ts";

/** Makes the host of one container. Throws what the system says when a preopen is missing. */
export function createPreviewTwo(_options: PreviewTwoOptions): PreviewTwo {
  throw new Error("not implemented");
}
