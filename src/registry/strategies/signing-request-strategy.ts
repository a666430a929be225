import type { KubeObject } from "../../apimachinery/index.ts";
import type { Strategy } from "../strategy.ts";

/** Whoever approved a request saw what it asked for: that never changes. */
export const signingRequestStrategy: Strategy = {
  prepareForUpdate(next: KubeObject, old: Readonly<KubeObject>) {
    next["spec"] = structuredClone(old["spec"]);
  },
};
