/** Conditions by name; each says whether it holds. */
export type Checks = Readonly<Record<string, () => boolean>>;

const CHECK_FAILED = 500;

const HEADERS = {
  "content-type": "text/plain; charset=utf-8",
  "cache-control": "no-cache, private",
  "x-content-type-options": "nosniff",
};

/** /livez, /readyz and /healthz: "ok", or with `?verbose` a line for each condition. */
export function answerHealth(name: string, checks: Checks, query: URLSearchParams): Response {
  const excluded = new Set(query.getAll("exclude"));
  const lines: string[] = [];
  let failed = false;
  for (const [check, holds] of Object.entries(checks)) {
    if (excluded.has(check)) {
      lines.push(`[+]${check} excluded: ok`);
    } else if (holds()) {
      lines.push(`[+]${check} ok`);
    } else {
      failed = true;
      lines.push(`[-]${check} failed: reason withheld`);
    }
  }
  for (const name of excluded) {
    if (!Object.hasOwn(checks, name)) lines.push(unmatchedExclude(name));
  }
  const headers = HEADERS;
  if (failed) {
    const text = [...lines, `${name} check failed`, ""].join("\n");
    return new Response(text, { status: CHECK_FAILED, headers });
  }
  const verbose = query.has("verbose");
  const text = verbose ? [...lines, `${name} check passed`, ""].join("\n") : "ok";
  return new Response(text, { headers });
}

/** /livez/ping and its like: one condition alone; undefined when there is none of the name. */
export function answerCheck(check: string, checks: Checks): Response | undefined {
  if (!Object.hasOwn(checks, check)) return undefined;
  if (checks[check]?.() === true) return new Response("ok", { headers: HEADERS });
  const text = "internal server error: reason withheld\n";
  return new Response(text, { status: CHECK_FAILED, headers: HEADERS });
}

function unmatchedExclude(name: string): string {
  return `warn: some health checks cannot be excluded: no matches for ${JSON.stringify(name)}`;
}
