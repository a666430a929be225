/**
 * The tag an image reference names; "latest" when it names neither tag nor digest, and undefined
 * when it names only a digest.
 */
export function imageTag(image: string): string | undefined {
  const at = image.indexOf("@");
  const named = at < 0 ? image : image.slice(0, at);
  // A colon before the last slash belongs to the port of the registry host.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  if (colon >= 0) return named.slice(colon + 1);
  return at < 0 ? "latest" : undefined;
}

/** A tag that moves is looked up again at every start. */
export function pullPolicyFor(image: string): "Always" | "IfNotPresent" {
  return imageTag(image) === "latest" ? "Always" : "IfNotPresent";
}
