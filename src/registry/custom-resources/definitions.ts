import {
  CUSTOM_RESOURCE_DEFINITIONS,
  findKind,
  findResource,
  isEstablished,
  type apiextensionsV1,
  type ResourceDefinition,
  resourceDefinitions,
} from "../../api/index.ts";
import type { Lookup } from "../lookup.ts";
import { customDefinitions } from "./custom-definition.ts";
import { compareVersions } from "./version-order.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;

/** What was made of a CustomResourceDefinition, for as long as nothing that matters changes. */
interface Made {
  readonly of: string;
  readonly definitions: readonly ResourceDefinition[];
}

/**
 * Every resource that is served now: the built-in ones, and those of CustomResourceDefinitions.
 * It keeps no state of its own but what it makes of the stored definitions, and looks at the store
 * whenever it is asked: all servers that have applied a definition serve it, at once and alike.
 */
export class Definitions {
  readonly #lookup: Lookup;
  readonly #made = new Map<string, Made>();
  readonly #seen = new WeakMap<Readonly<Crd>, readonly ResourceDefinition[]>();
  #present: readonly Readonly<Crd>[] = [];
  #all: readonly ResourceDefinition[] = resourceDefinitions;

  constructor(lookup: Lookup) {
    this.#lookup = lookup;
  }

  /** The same array until something changes. Versions of a group stand with the best one first. */
  get all(): readonly ResourceDefinition[] {
    const crds = this.#lookup.all(CUSTOM_RESOURCE_DEFINITIONS, "");
    const isSame =
      crds.length === this.#present.length &&
      crds.every((crd, index) => crd === this.#present[index]);
    if (isSame) return this.#all;
    this.#present = crds;
    const names = new Set(crds.map(({ metadata }) => metadata.name ?? ""));
    for (const name of this.#made.keys()) if (!names.has(name)) this.#made.delete(name);
    const custom = crds.flatMap((crd) => this.#definitionsOf(crd));
    const all = [...resourceDefinitions, ...custom.sort(compareDefinitions)];
    // A change of a status that changes no definition changes nothing that was made of them.
    const isEqual =
      all.length === this.#all.length && all.every((one, index) => one === this.#all[index]);
    if (!isEqual) this.#all = all;
    return this.#all;
  }

  /** By plural name; undefined for what is not served. */
  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    const builtIn = findResource(group, version, resource);
    if (builtIn !== undefined) return builtIn;
    const crd = this.#lookup.find(CUSTOM_RESOURCE_DEFINITIONS, "", `${resource}.${group}`);
    if (crd === undefined) return undefined;
    return this.#definitionsOf(crd).find((definition) => definition.version === version);
  }

  /** By kind. */
  findKind(group: string, version: string, kind: string): ResourceDefinition | undefined {
    return (
      findKind(group, version, kind) ??
      this.all.find((one) => one.group === group && one.version === version && one.kind === kind)
    );
  }

  #definitionsOf(crd: Readonly<Crd>): readonly ResourceDefinition[] {
    const seen = this.#seen.get(crd);
    if (seen !== undefined) return seen;
    const name = crd.metadata.name ?? "";
    const made = this.#made.get(name);
    const of = whatMatters(crd);
    const definitions =
      made?.of === of ? made.definitions : isEstablished(crd) ? customDefinitions(crd) : [];
    this.#made.set(name, { of, definitions });
    this.#seen.set(crd, definitions);
    return definitions;
  }
}

/** Of the status, only the accepted names and whether they are served change what is served. */
function whatMatters(crd: Readonly<Crd>): string {
  const { metadata, status } = crd;
  return JSON.stringify([
    metadata.uid,
    metadata.generation,
    metadata.deletionTimestamp,
    isEstablished(crd),
    status?.acceptedNames,
  ]);
}

function compareDefinitions(a: ResourceDefinition, b: ResourceDefinition): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  if (a.version !== b.version) return compareVersions(a.version, b.version);
  return a.resource < b.resource ? -1 : 1;
}
