import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { GRPCAction } from "../api/index.ts";
import { dialFailure } from "./dial-failure.ts";
import type { ProbeOutcome, ProbeTarget } from "./probe-action.ts";

const PATH = "/grpc.health.v1.Health/Check";
/** A flag and the length of what follows. */
const FRAME_HEAD_BYTES = 5;
/** HealthCheckResponse has one field of a few bytes; a server that says more is not asked on. */
const MAX_ANSWER_BYTES = 4096;
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;

/**
 * Asks a server for its health as gRPC's health checking protocol does (one HTTP/2 request without
 * TLS). Never rejects once a connection was begun: what goes wrong is the outcome.
 */
export function checkHealth(
  { port, service = "" }: GRPCAction,
  { podIp, endpoint }: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const unix = endpoint(podIp, port);
    const session = connectHttp2(`http://${podIp}:${port}`, {
      createConnection: () =>
        unix === undefined ? connectSocket({ host: podIp, port }) : connectSocket({ path: unix }),
    });
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      session.destroy();
    };
    const fail = (why: string): void => finish({ success: false, message: why });
    const address = `${podIp}:${port}`;
    session.on("error", (error: Error) =>
      fail(`error: health rpc probe failed: dial tcp ${address}: ${dialFailure(error)}`),
    );
    signal.addEventListener("abort", () => fail("timeout: health rpc did not complete in time"), {
      once: true,
    });
    const request = session.request({
      ":method": "POST",
      ":path": PATH,
      ":authority": address,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    let grpcStatus = "";
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      const status = headers["grpc-status"];
      if (typeof status === "string") grpcStatus = status;
    };
    request.on("response", note);
    request.on("trailers", note);
    request.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
      else fail("error: health rpc answers with more than a status");
    });
    request.on("error", ({ message }: Error) => fail(`error: health rpc failed: ${message}`));
    request.on("end", () => finish(outcomeOf(Buffer.concat(chunks), grpcStatus)));
    request.end(healthRequest(service));
  });
}

/** A frame with a HealthCheckRequest: field 1, the service's name. */
function healthRequest(service: string): Uint8Array {
  const name = Buffer.from(service);
  const body = name.length === 0 ? name : Buffer.concat([field(1, name.length), name]);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The head of a protobuf field that has a length. */
function field(number: number, length: number): Uint8Array {
  const bytes = [(number << 3) | 2];
  for (let left = length; ; left >>>= 7) {
    bytes.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) return Uint8Array.from(bytes);
  }
}

/** Protobuf leaves a status of 0 (UNKNOWN) out. */
function outcomeOf(answer: Uint8Array, grpcStatus: string): ProbeOutcome {
  if (grpcStatus !== "" && grpcStatus !== "0") {
    return { success: false, message: `error: health rpc failed with code ${grpcStatus}` };
  }
  const [tag, value = 0] = answer.subarray(FRAME_HEAD_BYTES);
  const status = STATUSES[tag === 1 << 3 ? value : 0] ?? "UNKNOWN";
  if (status === "SERVING") return { success: true };
  return { success: false, message: `service unhealthy (responded with "${status}")` };
}
