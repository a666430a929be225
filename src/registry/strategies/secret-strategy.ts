import type { Secret } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import type { Strategy } from "../strategy.ts";

/** Text that a client writes into stringData is kept, and read back, as data in base64. */
export const secretStrategy: Strategy = {
  prepareForCreate: encodeStringData,
  prepareForUpdate: encodeStringData,
};

function encodeStringData(object: KubeObject): void {
  const secret = object as Secret;
  if (secret.stringData === undefined) return;
  const encoded = Object.entries(secret.stringData).map(([key, text]) => [
    key,
    Buffer.from(text).toString("base64"),
  ]);
  secret.data = { ...secret.data, ...(Object.fromEntries(encoded) as Record<string, string>) };
  delete secret.stringData;
}
