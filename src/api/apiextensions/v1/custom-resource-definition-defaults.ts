import type { CustomResourceDefinition } from "./types.ts";

const WEBHOOK_PORT = 443;

export function defaultCustomResourceDefinition({ spec }: CustomResourceDefinition): void {
  if (spec === undefined) return;
  const names = spec.names as Partial<CustomResourceDefinition["spec"]["names"]> | undefined;
  if (names?.kind !== undefined && names.kind !== "") {
    names.singular ||= names.kind.toLowerCase();
    names.listKind ||= `${names.kind}List`;
  }
  spec.conversion ??= { strategy: "None" };
  const service = spec.conversion.webhook?.clientConfig?.service;
  if (service !== undefined) service.port ??= WEBHOOK_PORT;
}
