import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const root = join(import.meta.dir, "..");
const SHARED = ["lib", "apimachinery", "api"];

/** Room → rooms it may import, besides itself. The two towers meet as HTTP, never as imports. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  apimachinery: ["lib"],
  api: ["lib", "apimachinery"],
  raft: ["lib"],
  mvcc: ["lib"],
  store: ["lib", "raft", "mvcc"],
  registry: [...SHARED, "store"],
  apiserver: [...SHARED, "registry"],
  client: SHARED,
  controllers: [...SHARED, "client"],
  scheduler: [...SHARED, "client"],
  images: ["lib"],
  runtime: ["lib", "images"],
  kubelet: [...SHARED, "client", "runtime"],
  dns: SHARED,
  proxy: [...SHARED, "client", "dns"],
  cli: [...SHARED, "client", "images"],
  // os implements what these rooms declare, and imports nothing but their interfaces.
  os: ["lib", "store", "runtime", "kubelet", "proxy", "apiserver"],
};

/** What tests of other rooms may use past a room's door, and the product never. */
const TESTING = /^src\/\w+\/testing\//;
const DESIGNED_ROOMS = ["raft", "mvcc", "store", "kubelet", "proxy", "dns"];
const MAX_ARCHITECTURE_LINES = 300;
const PURE_ROOMS = new Set(["lib", "apimachinery", "api", "raft", "mvcc"]);
const CLOCK_CALLS =
  /\b(Date\.now|performance\.now|new Date\(\)|setTimeout|setInterval|Math\.random)\b/;
const CRYPTO_CALLS = /\bcrypto\.\w+\b/;
/** What these read is time itself: the machine's, or the clock that a guest sees. */
const CLOCKS = [
  "src/os/",
  "src/cmd/",
  "src/runtime/wasi/host/",
  "src/runtime/wasi/worker/",
  "src/api/generate-types.ts",
];
/** They reach disks, sockets and processes only through interfaces that `os` implements. */
const DETACHED_ROOMS = new Set([
  "lib",
  "apimachinery",
  "api",
  "raft",
  "store",
  "registry",
  "apiserver",
  "client",
  "controllers",
  "scheduler",
]);
const OS_ACCESS =
  /from "(node:(fs|net|os|child_process|http|worker_threads)\b|bun)|\bBun\.(serve|listen|connect|spawn|file|write)\b|\bprocess\.(env|argv|exit|on|kill)\b/;
/** Made to be used by anything that comes: what of them nobody needs yet does no harm. */
const LIBRARIES = new Set([...SHARED, "client"]);
/** Whose start counts in milliseconds: it takes the one file that it needs. */
const WORKER_ENTRY = "src/cmd/wasi-worker.ts";
const FORBIDDEN_NAMES = /(^|[/-])(utils?|helpers?|manager|common|misc)([-.]|$)/;
const MAX_LINES = 500;
const MAX_COLUMNS = 100;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly generated: boolean;
  readonly test: boolean;
}

const sources: SourceFile[] = [...new Glob("src/**/*.ts").scanSync(root)].sort().map((path) => {
  const text = readFileSync(join(root, path), "utf8");
  return {
    path,
    room: path.split("/")[1] ?? "",
    text,
    generated: text.startsWith("// Generated"),
    test: path.endsWith(".test.ts") || path.includes("/testing/"),
  };
});

/** Every relative import, type-only ones and re-exports included, as paths from the root. */
function importsOf(file: SourceFile): string[] {
  const pattern = /(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"'$]+)["']/g;
  return [...file.text.matchAll(pattern)].map((match) =>
    normalize(relative(root, join(root, dirname(file.path), match[1] ?? ""))),
  );
}

const documents = [new Glob("*.md"), new Glob("{docs,src,test,workloads}/**/*.md")]
  .flatMap((glob) => [...glob.scanSync(root)])
  .sort();
const knownPaths = [...new Glob("{src,test,docs,workloads,migrations}/**/*").scanSync(root)];

/** Links and names of files in a document that lead nowhere, or out of the repository. */
function strayPathsIn(document: string): string[] {
  const text = readFileSync(join(root, document), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
    .map((match) => normalize(join(dirname(document), match[1] ?? "")))
    .filter((path) => path.startsWith("..") || !existsSync(join(root, path)));
  // A file may be named by the end of its path: `store.ts`, `store/store.ts`, `src/store/store.ts`.
  const names = [
    ...text.matchAll(/(?<![\w/.-])((?:\.\.\/)*[\w-]+(?:[/.][\w-]+)*\.(?:ts|sh|txt))\b/g),
  ]
    .map((match) => match[1] ?? "")
    .filter((name) => !knownPaths.some((path) => `/${path}`.endsWith(`/${name}`)));
  return [...links, ...names];
}

function codeLines(file: SourceFile): string[] {
  return file.text.split("\n").filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line));
}

function offences(check: (file: SourceFile) => string[]): string[] {
  return sources.flatMap((file) => check(file).map((offence) => `${file.path}: ${offence}`));
}

describe("tidy", () => {
  test("tidy: a room imports only the rooms the table allows, through their index.ts", () => {
    const found = offences((file) => {
      if (file.room === "cmd") return [];
      const allowed = MAY_IMPORT[file.room];
      if (allowed === undefined) return [`room ${file.room} is not in the table`];
      return importsOf(file).flatMap((path) => {
        const [top, room] = path.split("/");
        if (top !== "src") return file.test ? [] : [`imports ${path} from outside src`];
        if (room === file.room || room === undefined) return [];
        const door = path === `src/${room}/index.ts` || TESTING.test(path);
        if (!door) return [`imports ${path} past the door of ${room}`];
        return allowed.includes(room) || file.test ? [] : [`must not import ${room}`];
      });
    });
    expect(found).toEqual([]);
  });

  test("tidy: cmd comes in by the doors, except for what is loaded when it is needed", () => {
    const found = offences((file) => {
      if (file.room !== "cmd" || file.test || file.path === WORKER_ENTRY) return [];
      return [...file.text.matchAll(/^(?:import|export)\b[^;]*? from "\.\.\/([^"]+)";/gm)]
        .map((match) => match[1] ?? "")
        .filter((path) => !/^(\w+\/index\.ts|\.\.\/package\.json)$/.test(path))
        .map((path) => `imports ${path} past a door`);
    });
    expect(found).toEqual([]);
  });

  test("tidy: what a room's door offers, somebody outside takes", () => {
    const tests = [...new Glob("test/**/*.ts").scanSync(root)].map((path) => ({
      room: "test",
      text: readFileSync(join(root, path), "utf8"),
    }));
    const found = sources
      .filter(({ path, room }) => path === `src/${room}/index.ts` && !LIBRARIES.has(room))
      .flatMap(({ room, text }) =>
        [...text.matchAll(/^export \{([^}]*)\}/gm)]
          .flatMap((match) => (match[1] ?? "").split(","))
          .map((name) => name.trim())
          .filter((name) => name !== "" && !name.startsWith("type "))
          .filter((name) => {
            const word = new RegExp(`\\b${name.split(" ").at(-1)}\\b`);
            return ![...sources, ...tests].some(
              (file) => file.room !== room && word.test(file.text),
            );
          })
          .map((name) => `src/${room}/index.ts: ${name}`),
      );
    expect(found).toEqual([]);
  });

  test("tidy: the product imports no test code", () => {
    const found = offences((file) =>
      file.test
        ? []
        : importsOf(file).filter((path) => path.includes("/testing/") || path.endsWith(".test.ts")),
    );
    expect(found).toEqual([]);
  });

  test("tidy: a room has a door, and a room with a design has it on a page", () => {
    const doors = Object.keys(MAY_IMPORT).map((room) => `src/${room}/index.ts`);
    const designs = DESIGNED_ROOMS.map((room) => `src/${room}/DESIGN.md`);
    expect([...doors, ...designs].filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("tidy: documents name files that exist, inside the repository", () => {
    expect(documents).toContain("README.md");
    const found = documents.flatMap((path) =>
      strayPathsIn(path).map((target) => `${path}: ${target}`),
    );
    expect(found).toEqual([]);
  });

  test("tidy: docs/ARCHITECTURE.md can be read in one sitting", () => {
    const lines = readFileSync(join(root, "docs/ARCHITECTURE.md"), "utf8").split("\n");
    expect(lines.length).toBeLessThanOrEqual(MAX_ARCHITECTURE_LINES + 1);
  });

  test("tidy: only cmd imports os", () => {
    const found = offences((file) =>
      file.room === "cmd" || file.room === "os" || file.test
        ? []
        : importsOf(file).filter((path) => path.startsWith("src/os/")),
    );
    expect(found).toEqual([]);
  });

  test("tidy: time and chance come from the Clock and Random that are handed in", () => {
    const found = offences((file) => {
      if (file.test || CLOCKS.some((path) => file.path.startsWith(path))) return [];
      const pure = PURE_ROOMS.has(file.room);
      return codeLines(file).filter(
        (line) => CLOCK_CALLS.test(line) || (pure && CRYPTO_CALLS.test(line)),
      );
    });
    expect(found).toEqual([]);
  });

  test("tidy: rooms that need no operating system do not touch it", () => {
    const found = offences((file) =>
      file.test || !DETACHED_ROOMS.has(file.room) || file.path === "src/api/generate-types.ts"
        ? []
        : codeLines(file).filter((line) => OS_ACCESS.test(line)),
    );
    expect(found).toEqual([]);
  });

  test("tidy: files keep their size limits", () => {
    const found = offences((file) => {
      if (file.generated) return [];
      const lines = file.text.split("\n");
      const long = lines
        .map((line, index) => ({ index, length: line.length }))
        .filter((line) => line.length > MAX_COLUMNS)
        .map((line) => `line ${line.index + 1} has ${line.length} columns of ${MAX_COLUMNS}`);
      const tall = lines.length > MAX_LINES + 1 ? [`${lines.length} lines of ${MAX_LINES}`] : [];
      return [...tall, ...long];
    });
    expect(found).toEqual([]);
  });

  test("tidy: names say what a file holds", () => {
    const found = offences((file) => {
      const kebab = /^[a-z0-9]+([.-][a-z0-9]+)*\.ts$/.test(file.path.split("/").at(-1) ?? "");
      return [
        ...(kebab ? [] : ["is not kebab-case"]),
        ...(FORBIDDEN_NAMES.test(file.path) ? ["has a name that says nothing"] : []),
      ];
    });
    expect(found).toEqual([]);
  });

  test("tidy: no default export, enum, empty catch, loosened check or unfinished work", () => {
    const rules: readonly [RegExp, string][] = [
      [/^export default\b/m, "has a default export"],
      [/^\s*(export )?(const )?enum\s+\w/m, "has an enum"],
      [/catch\s*(\([^)]*\))?\s*\{\s*\}/, "swallows an error"],
      [/@ts-(ignore|nocheck|expect-error)|oxlint-disable|eslint-disable/, "loosens a check"],
      [/\b(TODO|FIXME|XXX|HACK)\b/, "has unfinished work"],
    ];
    const state: [RegExp, string] = [/^(export )?let\b/m, "has module-level mutable state"];
    const found = offences((file) =>
      [...rules, ...(file.test ? [] : [state])]
        .filter(([pattern]) => pattern.test(file.text))
        .map(([, message]) => message),
    );
    expect(found).toEqual([]);
  });

  test("tidy: tests neither sleep nor skip silently", () => {
    const found = [...new Glob("{src,test}/**/*.test.ts").scanSync(root)].sort().flatMap((path) => {
      if (path === "test/tidy.test.ts") return [];
      const text = readFileSync(join(root, path), "utf8");
      return [/\bBun\.sleep\(/, /\bsetTimeout\(/, /\b(test|describe)\.(only|todo)\b/]
        .filter((pattern) => pattern.test(text))
        .map((pattern) => `${path}: ${pattern.source}`);
    });
    expect(found).toEqual([]);
  });
});
