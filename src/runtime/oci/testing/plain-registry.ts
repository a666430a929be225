import { type BuiltImage, digestOf, MANIFEST_TYPE } from "../daemon/image-archive.ts";

/** A registry on the loopback interface that has these images and takes none. */
export function servePlainRegistry(images: readonly BuiltImage[]): {
  readonly url: string;
  stop(): Promise<void>;
} {
  const blobs = new Map(images.flatMap((image) => [...image.blobs]));
  const manifests = new Map<string, Uint8Array>(
    images.flatMap(({ name, manifest }) => {
      const [, repository = "", tag = ""] = /^[^/]+\/(.+):([^:]+)$/.exec(name) ?? [];
      return [
        [`${repository}/manifests/${tag}`, manifest] as const,
        [`${repository}/manifests/${digestOf(manifest)}`, manifest] as const,
      ];
    }),
  );
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const path = new URL(request.url).pathname.slice("/v2/".length);
      const manifest = manifests.get(path);
      const content = manifest ?? blobs.get(path.replace(/^.*\/blobs\//, ""));
      if (content === undefined) return new Response("not found", { status: 404 });
      return new Response(content.slice(), {
        headers: {
          "content-type": manifest === undefined ? "application/octet-stream" : MANIFEST_TYPE,
          "docker-content-digest": digestOf(content),
        },
      });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}
