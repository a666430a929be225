import type { Pod } from "../../api/index.ts";
import {
  badRequest,
  internalError,
  invalid,
  invalidField,
  StatusError,
} from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";
import { integerOf } from "../query-options.ts";

/**
 * How long a node agent may take to begin its answer. One that is not there is told of earlier:
 * the link between machines gives up dialling after two seconds, and a silent peer after fifteen.
 */
export const NODE_ANSWER_MS = 30_000;

/** Parameters that the node agent understands as they are. */
const PASSED_ON = [
  "follow",
  "tailLines",
  "sinceSeconds",
  "sinceTime",
  "timestamps",
  "previous",
  "limitBytes",
];

/** GET of a pod's log: streams what the node agent of the pod's node answers. */
export async function podLog(api: ApiRequest): Promise<Response> {
  const { query, context, target, namespace } = api;
  assertLogOptions(query, target.name);
  const stored = await api.resource.get(namespace, target.name);
  const pod = stored.object as Pod;
  const container = chooseContainer(pod, query.get("container") ?? "");
  const node = pod.spec?.nodeName ?? "";
  // A pod that is on no node has said nothing yet.
  if (node === "") return new Response("", { headers: { "content-type": "text/plain" } });
  const path = [namespace, target.name, container].map(encodeURIComponent).join("/");
  const url = `http://${encodeURIComponent(node)}/containerLogs/${path}?${passedOn(query)}`;
  const answer = await askNode(context, node, (late) => {
    return new Request(url, { signal: AbortSignal.any([api.request.signal, late]) });
  });
  if (!answer.ok) throw await refusalOf(answer, target.name);
  return new Response(answer.body, {
    headers: {
      "content-type": answer.headers.get("content-type") ?? "text/plain",
      "cache-control": "no-cache, private",
    },
  });
}

/**
 * The head of what a node agent answers to the request, which is made with a signal that it takes
 * too long. Throws 500 in words when none comes, as Kubernetes does;
 * what a client that leaves hears does not matter.
 */
export async function askNode(
  { nodeConnector, clock }: Pick<ApiRequest["context"], "nodeConnector" | "clock">,
  node: string,
  requestWith: (late: AbortSignal) => Request,
): Promise<Response> {
  const unreached = (why: string): StatusError =>
    internalError(new Error(`the node agent of node ${node} cannot be reached${why}`));
  const connection = nodeConnector(node);
  if (connection === undefined) throw unreached("");
  const late = new AbortController();
  const why = new Error(`no answer within ${NODE_ANSWER_MS} ms`);
  const cancel = clock.after(NODE_ANSWER_MS, () => late.abort(why));
  try {
    return await connection(requestWith(late.signal));
  } catch (error) {
    throw unreached(`: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    cancel();
  }
}

/** The only container, the asked for one, or the annotated default. Throws 400 otherwise. */
export function chooseContainer(pod: Pod, asked: string): string {
  const name = pod.metadata.name ?? "";
  const names = (pod.spec?.containers ?? []).map((container) => container.name);
  const initial = (pod.spec?.initContainers ?? []).map((container) => container.name);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).map((container) => container.name);
  if (asked !== "") {
    if ([...names, ...initial, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only] = names;
  if (names.length === 1 && only !== undefined) return only;
  const choices = `choose one of: [${names.join(" ")}]`;
  const others =
    initial.length === 0 ? "" : ` or one of the init containers: [${initial.join(" ")}]`;
  throw badRequest(`a container name must be specified for pod ${name}, ${choices}${others}`);
}

function passedOn(query: URLSearchParams): string {
  const passed = PASSED_ON.flatMap((name): [string, string][] => {
    const value = query.get(name);
    return value === null ? [] : [[name, value]];
  });
  return new URLSearchParams(passed).toString();
}

function assertLogOptions(query: URLSearchParams, name: string): void {
  const errors = ["tailLines", "sinceSeconds", "limitBytes"].flatMap((field) => {
    const value = integerOf(query, field);
    const lowest = field === "tailLines" ? 0 : 1;
    if (value === undefined || value >= lowest) return [];
    const why = lowest === 0 ? "must be greater than or equal to 0" : "must be greater than 0";
    return [invalidField(field, value, why)];
  });
  if (query.has("sinceSeconds") && query.has("sinceTime")) {
    const why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
    errors.push(invalidField("sinceSeconds", query.get("sinceSeconds"), why));
  }
  if (errors.length > 0) throw invalid({ group: "", kind: "PodLogOptions" }, name, errors);
}

/** The node agent answers in plain text; what it says becomes the Status. */
async function refusalOf(answer: Response, name: string): Promise<StatusError> {
  const text = (await answer.text()).trim();
  if (answer.status === 400) return badRequest(text);
  if (answer.status >= 500) return internalError(new Error(text));
  return new StatusError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: text,
    reason: answer.status === 404 ? "NotFound" : "Unknown",
    details: { name, kind: "pods" },
    code: answer.status,
  });
}
