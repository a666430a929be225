export { assert, AssertionError, unreachable } from "./assert.ts";
export type { Brand } from "./brand.ts";
export {
  interfaceRefusal,
  isThirdPreview,
  PROVIDED_INTERFACES,
  THIRD_PREVIEW,
  UNKNOWN_INTERFACE,
  withoutVersion,
} from "./component-interfaces.ts";
export type { InterfaceGrant, ProvidedInterface } from "./component-interfaces.ts";
export { ByteInbox, INBOX_ROOM_BYTES } from "./byte-inbox.ts";
export { CHANNEL, channelFrame, ChannelFrameReader } from "./channel-frames.ts";
export type { ChannelMessage } from "./channel-frames.ts";
export { sleep } from "./clock.ts";
export type { CancelTimer, Clock } from "./clock.ts";
export type { Fetch } from "./fetch.ts";
export { BODY_MALFORMED, BodyReader } from "./http1/body-reader.ts";
export type { ContentSink } from "./http1/body-reader.ts";
export { EGRESS_ERROR } from "./http1/field-names.ts";
export { HEAD_TOO_LARGE, HeadReader, NEED_MORE } from "./http1/head-reader.ts";
export { fieldEntries, isFault } from "./http1/message-head.ts";
export type { FieldEntry, Fields, Framing, HeadFault, Side } from "./http1/message-head.ts";
export { isIdempotent, parseRequestHead } from "./http1/request-head.ts";
export type { RequestHead } from "./http1/request-head.ts";
export { parseResponseHead } from "./http1/response-head.ts";
export type { ResponseHead } from "./http1/response-head.ts";
export { silentLogger } from "./logger.ts";
export type { LogFields, Logger } from "./logger.ts";
export { drainMicrotasks, ManualClock } from "./manual-clock.ts";
export { Outlet } from "./outlet.ts";
export type { OutletSocket } from "./outlet.ts";
export { randomInteger, randomUuid, SeededRandom } from "./random.ts";
export type { Random } from "./random.ts";
export { sharedDatagramPort, sharedPort } from "./shared-port.ts";
export { SpdyConnection, SpdyStream } from "./spdy/spdy-connection.ts";
export { RESET } from "./spdy/spdy-frames.ts";
export type { SpdyTransport } from "./spdy/spdy-connection.ts";
