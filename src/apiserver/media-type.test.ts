import { expect, test } from "bun:test";
import { mediaTypeOf, Negotiator } from "./media-type.ts";

function negotiate(accept?: string): string {
  const headers = accept === undefined ? {} : { accept };
  try {
    const media = new Negotiator().negotiate(new Request("http://h/", { headers }));
    return `${media.format} ${media.representation}`;
  } catch (error) {
    return (error as Error).message;
  }
}

test("Negotiator: takes the first clause that it can make", () => {
  expect(negotiate()).toBe("json object");
  expect(negotiate("*/*")).toBe("json object");
  expect(negotiate("application/yaml")).toBe("yaml object");
  expect(negotiate("application/vnd.kubernetes.protobuf, application/json")).toBe("json object");
  expect(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")).toBe(
    "json table",
  );
  expect(negotiate("application/json;as=Table;v=v2;g=meta.k8s.io,application/json")).toBe(
    "json object",
  );
  expect(negotiate("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")).toBe(
    "json partial",
  );
  expect(negotiate("application/json;q=0.1, application/yaml;q=0.9")).toBe("yaml object");
});

test("Negotiator: refuses when nothing fits", () => {
  const refusal = "only the following media types are accepted: application/json, application/yaml";
  expect(negotiate("text/html")).toBe(refusal);
  expect(negotiate("application/vnd.kubernetes.protobuf")).toBe(refusal);
  expect(negotiate("application/json;q=0")).toBe(refusal);
});

test("mediaTypeOf: drops parameters and case", () => {
  expect(mediaTypeOf("Application/JSON; charset=utf-8")).toBe("application/json");
  expect(mediaTypeOf(null)).toBe("");
});
