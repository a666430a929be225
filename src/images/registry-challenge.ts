/** What a registry wants before it answers (RFC 9110 section 11.6.1). */
export type Challenge =
  | { readonly type: "basic" }
  | {
      readonly type: "bearer";
      readonly realm: string;
      readonly service?: string;
      readonly scope?: string;
    };

/** Reads a WWW-Authenticate field; undefined when it names no scheme that is understood. */
export function parseChallenge(field: string | null): Challenge | undefined {
  const text = field ?? "";
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(text);
  if (bearer !== null) {
    const parameters = new Map<string, string>();
    for (const [, name = "", value = ""] of (bearer[1] ?? "").matchAll(
      /([a-z_]+)\s*=\s*"([^"]*)"/gi,
    )) {
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
    }
    const realm = parameters.get("realm");
    const service = parameters.get("service");
    const scope = parameters.get("scope");
    if (realm === undefined) return undefined;
    return {
      type: "bearer",
      realm,
      ...(service === undefined ? {} : { service }),
      ...(scope === undefined ? {} : { scope }),
    };
  }
  return /(?:^|,\s*)basic\b/i.test(text) ? { type: "basic" } : undefined;
}
