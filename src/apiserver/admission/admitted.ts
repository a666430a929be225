import type { ResourceDefinition } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";

/** A write as admission sees it. */
export interface Admitted {
  readonly verb: "create" | "update" | "delete";
  readonly definition: ResourceDefinition;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Absent when it is deleted. */
  readonly next?: Readonly<KubeObject>;
  /** Absent when it is created. */
  readonly old?: Readonly<KubeObject>;
}
