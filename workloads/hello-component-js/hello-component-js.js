// A component in JavaScript: the engine that is built in calls `handle` for every request, of which
// one instance serves many, one after the other.
import { getEnvironment } from "wasi:cli/environment@0.2.12";
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.12";

const TEXT = "text/plain; charset=utf-8";
/** The most that one call may write to a stream. */
const MAX_WRITE = 4096;

const encoder = new TextEncoder();

/** Begins an answer; what is written goes out at once. */
function begin(out, status, type) {
  const headers = Fields.fromList([["content-type", encoder.encode(type)]]);
  const response = new OutgoingResponse(headers);
  response.setStatusCode(status);
  const body = response.body();
  ResponseOutparam.set(out, { tag: "ok", val: response });
  const stream = body.write();
  return {
    write(text) {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length; at += MAX_WRITE) {
        stream.blockingWriteAndFlush(bytes.subarray(at, at + MAX_WRITE));
      }
    },
    end() {
      stream[Symbol.dispose]();
      OutgoingBody.finish(body, undefined);
    },
  };
}

function answer(out, text, { status = 200, type = TEXT } = {}) {
  const response = begin(out, status, type);
  response.write(text);
  response.end();
}

/** The whole body of a request, as text. */
function textOf(request) {
  const body = request.consume();
  const stream = body.stream();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) text += decoder.decode(stream.blockingRead(65_536n), { stream: true });
  } catch (error) {
    if (error.payload?.tag !== "closed") throw error;
    return text;
  } finally {
    stream[Symbol.dispose]();
    body[Symbol.dispose]();
  }
}

const routes = {
  "/healthz": (_, out) => answer(out, "ok\n"),
  "/"(_, out) {
    const { GREETING = "Hello", POD_NAME = "a component" } = Object.fromEntries(getEnvironment());
    answer(out, `${GREETING}, this is ${POD_NAME}\n`);
  },
  "/log"(_, out) {
    console.log("somebody asked for /log");
    answer(out, "logged\n");
  },
  "/json"(request, out) {
    const given = JSON.parse(textOf(request));
    answer(out, JSON.stringify({ given }), { type: "application/json" });
  },
  /** Server-sent events: the answer goes on while the handler waits. */
  async "/count"(_, out) {
    const response = begin(out, 200, "text/event-stream");
    for (let number = 1; number <= 3; number++) {
      if (number > 1) await new Promise((resolve) => setTimeout(resolve, 100));
      response.write(`data: ${number}\n\n`);
    }
    response.end();
  },
};

export const incomingHandler = {
  async handle(request, out) {
    const [path] = (request.pathWithQuery() ?? "/").split("?");
    const route = routes[path];
    if (route === undefined) return answer(out, "there is nothing here\n", { status: 404 });
    try {
      await route(request, out);
    } catch (error) {
      answer(out, `${error}\n`, { status: 400 });
    }
  },
};
