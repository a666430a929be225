export { createPreviewTwo } from "./create-preview-two.ts";
export { HttpError } from "./http/http-error.ts";
export type { ErrorCode } from "./http/http-error.ts";
export type {
  HttpHeaders,
  IncomingHttp,
  OutgoingHttp,
  PreviewTwo,
  PreviewTwoInstance,
  PreviewTwoOptions,
} from "./preview-two.ts";
