import type { InstanceContext, Interfaces } from "../instance-context.ts";
import type { IoError } from "../io/io-failure.ts";
import { scopedClass } from "../io/resource.ts";
import { Fields } from "./fields.ts";
import type { ErrorCode } from "./http-error.ts";
import { FutureTrailers, IncomingBody } from "./incoming-body.ts";
import { IncomingRequest } from "./incoming-request.ts";
import { FutureIncomingResponse, IncomingResponse } from "./incoming-response.ts";
import { OutgoingBody } from "./outgoing-body.ts";
import { outgoingHandler } from "./outgoing-handler.ts";
import { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";
import { OutgoingResponse, ResponseOutparam } from "./outgoing-response.ts";

/** The interfaces of wasi:http that are imported. */
export function httpInterfaces(context: InstanceContext): Interfaces {
  const { scope } = context;
  return {
    "wasi:http/types": {
      Fields: scopedClass(Fields, scope, {
        fromList: (entries: [string, Uint8Array][]) => Fields.fromEntries(scope, entries),
      }),
      FutureIncomingResponse,
      FutureTrailers,
      IncomingBody,
      IncomingRequest,
      IncomingResponse,
      OutgoingBody,
      OutgoingRequest: scopedClass(OutgoingRequest, scope),
      OutgoingResponse: scopedClass(OutgoingResponse, scope),
      RequestOptions: scopedClass(RequestOptions, scope),
      ResponseOutparam,
      httpErrorCode,
    },
    "wasi:http/outgoing-handler": { handle: outgoingHandler(context) },
  };
}

function httpErrorCode({ failure }: IoError): ErrorCode | undefined {
  return failure.kind === "http" ? failure.code : undefined;
}
