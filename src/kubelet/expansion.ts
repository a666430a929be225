/**
 * Replaces `$(NAME)` by its value; `$$` stands for one `$`, and a name nobody knows stays as it is.
 * Kubernetes' rule for env values, command, args and subPathExpr.
 */
export function expandVariables(
  text: string,
  lookup: (name: string) => string | undefined,
): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) =>
    name === undefined ? "$" : (lookup(name) ?? match),
  );
}
