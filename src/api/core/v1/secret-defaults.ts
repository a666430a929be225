import type { Secret } from "./types.ts";

/** Gives a Secret its type, and folds the write-only plain text of stringData into data. */
export function defaultSecret(secret: Secret): void {
  secret.type ||= "Opaque";
  if (secret.stringData === undefined) return;
  const data = (secret.data ??= {});
  for (const [key, text] of Object.entries(secret.stringData)) {
    data[key] = Buffer.from(text, "utf8").toString("base64");
  }
  delete secret.stringData;
}
