import type { IncomingHttp, OutgoingHttp } from "../preview2/preview-two.ts";
import { HttpError } from "../preview2/http/http-error.ts";
import type { Answer } from "./http-front/answer.ts";
import type { FrontExchange } from "./http-front/front-exchange.ts";
import type { LentBody } from "./lent-body.ts";

const SWITCHING_PROTOCOLS = 101;
const MIN_STATUS = 200;
const MAX_STATUS = 599;

/** What a guest answered that HTTP/1.1 cannot say; the message goes to the log. */
export class AnswerRefused extends Error {
  override readonly name = "AnswerRefused";
}

/** A request as the host gives it to a guest. */
export function incomingOf(exchange: FrontExchange, body: LentBody | undefined): IncomingHttp {
  const { method, host, target, trailers } = exchange;
  return {
    method,
    scheme: "http",
    ...(host === "" ? {} : { authority: host }),
    pathWithQuery: target,
    // Many guests never ask for them.
    get headers() {
      return exchange.headers;
    },
    body: body?.lend(),
    ...(trailers === undefined ? {} : { trailers: trailers.catch(clientGone) }),
  };
}

function clientGone(error: unknown): never {
  throw new HttpError({ tag: "connection-terminated" }, { cause: error });
}

/** A guest's answer as it is sent. Throws {@link AnswerRefused}. */
export function answerOf(exchange: FrontExchange, outgoing: OutgoingHttp): Answer {
  const { status } = outgoing;
  if (status === SWITCHING_PROTOCOLS) {
    if (exchange.upgrade !== "") return outgoing;
    throw new AnswerRefused("the guest answered 101 to a request that asked for no upgrade");
  }
  if (status < MIN_STATUS || status > MAX_STATUS) {
    throw new AnswerRefused(
      `the guest answered status ${status}; want ${MIN_STATUS}…${MAX_STATUS}`,
    );
  }
  return outgoing;
}
