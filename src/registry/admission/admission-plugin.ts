import type { ResourceDefinition } from "../../api/index.ts";
import type { GroupResource, KubeObject } from "../../apimachinery/index.ts";
import { groupResourceText } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import type { WriteScope } from "../resource-registry.ts";
import type { PodDefaults } from "./pod-defaults.ts";

/** A write as the plugins see it. */
export interface AdmittedWrite {
  readonly definition: ResourceDefinition;
  /** "object" for a creation too. */
  readonly scope: WriteScope;
  /** The plugins' own until it is validated. */
  readonly object: KubeObject;
  /** Absent for a creation. */
  readonly old?: Readonly<KubeObject>;
  readonly lookup: Lookup;
  readonly defaults: PodDefaults;
  /** Tells the client without refusing. */
  readonly warn: (text: string) => void;
}

/** One step of admission, by Kubernetes' name. Refusals are thrown as StatusErrors. */
export interface AdmissionPlugin {
  readonly name: string;
  /** The kinds it is asked about, "deployments.apps"; all when absent. */
  readonly kinds?: ReadonlySet<string>;
  /** Completes or refuses what is about to be created. To do it twice changes nothing more. */
  readonly complete?: (write: AdmittedWrite) => void;
  /** Refuses a complete and valid object, or warns about it: at creations and updates. */
  readonly judge?: (write: AdmittedWrite) => void;
}

/** Whether a plugin has anything to say about a kind. */
export function isAbout({ kinds }: AdmissionPlugin, definition: GroupResource): boolean {
  return kinds === undefined || kinds.has(groupResourceText(definition));
}

/** The name to refuse an object by, which may not have got its own yet. */
export function refusedName({ metadata }: Readonly<KubeObject>): string {
  return metadata.name ?? metadata.generateName ?? "";
}
