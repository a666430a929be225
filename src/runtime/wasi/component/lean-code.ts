/**
 * The translator's code without what it does beside calling: every call of an import makes two
 * tasks of WASI 0.3's concurrency model, looks into the environment for a debugging switch, and
 * suspends the guest even when the host answers at once. A component of WASI 0.2 needs none of it.
 * What is left is the lifting and lowering of values, as generated.
 *
 * The text is that of one pinned version of the translator. Whatever is not exactly as known makes
 * this give up, and the code runs as it was generated, slower.
 */
export function leanCode(code: string, suspending: ReadonlySet<string>): string | undefined {
  const generated = withoutDebugging(code);
  const start = generated.indexOf(INSTANTIATE);
  if (start < 0) return undefined;
  const lean = leanExports(leanLowerings(leanTrampolines(generated, suspending)))
    .replace(CREATED_REPS, "")
    .replaceAll(/Object\.assign\(([^(){}]+), \{ _jcoMaySuspend: false \}\)/g, "$1")
    .replaceAll(/_guardMayLeave\(\d+, (\w+)\)/g, "$1");
  const head = start + lean.slice(start).indexOf("\n") + 1;
  const whole = withoutUnused(`${lean.slice(0, head)}${STAND_INS}${lean.slice(head)}`);
  return MACHINERY.test(whole) || !isWhole(new Bun.Transpiler({ loader: "js" }), whole)
    ? undefined
    : whole;
}

/** A long regular expression, part by part. */
function pattern(flags: string, ...parts: readonly string[]): RegExp {
  return new RegExp(parts.join(""), flags);
}

/** Grows by one for each handle there ever was, and is never read. */
export const CREATED_REPS = "    table._createdReps.add(rep);\n";

const DEBUG_LOG = /^ {2}const _debugLog = [\s\S]*?^ {2}\}\n/m;
const INSTANTIATE = "export function instantiate(";
/** What must be gone. */
const MACHINERY = pattern(
  "",
  String.raw`\b(?:createNewCurrentTask|getOrCreateAsyncState|getCurrentTask|`,
  `AsyncTask|AsyncSubtask|`,
  String.raw`_lowerImportBackwardsCompat|_suspendingImport|_withGlobalCurrentTaskMeta|`,
  String.raw`_withGlobalCurrentTaskMetaAsync|_trackHostOperation|_debugLog)\b|\btask\.`,
);

/**
 * `_call` enters the host. A promise ends the lowering by a throw; when it settled, the lowering is
 * done again with its outcome. That is sound because reading borrowed handles and plain values
 * twice changes nothing, and an owned handle is taken out of its table the first time only: what
 * the second time finds in its place goes nowhere, because the host is not entered again.
 */
const STAND_INS = `
  const _waits = new Error('waits');
  let _pending, _settled;
  const _call = (enter) => {
    if (_settled !== undefined) {
      const { error, value } = _settled;
      _settled = undefined;
      if (error !== undefined) throw error.reason;
      return value;
    }
    const result = enter();
    if (result === null || typeof result !== 'object') return result;
    if (typeof result.then !== 'function') return result;
    _pending = result;
    throw _waits;
  };
  const _suspending = (lowering) => new WebAssembly.Suspending((...args) => {
    try {
      return lowering(...args);
    } catch (error) {
      if (error !== _waits) throw error;
    }
    curResourceBorrows = [];
    const again = (settled) => {
      _settled = settled;
      return lowering(...args);
    };
    return _pending.then((value) => again({ value }), (reason) => again({ error: { reason } }));
  });
  const _isTrap = (error) => error instanceof WebAssembly.RuntimeError || error === _waits;
`;

/** `_trampoline0 = function(…) {…}`, the lowering of one import. */
const TRAMPOLINE =
  / {2}const (_trampoline\d+) = (?:async )?function\([\s\S]*?\n {2}\1\.fnName = .*\n/g;
const MANUALLY_ASYNC = /^ {2}_trampoline\d+\.manuallyAsync = true;\n/gm;
const SIGNATURE = /\[iface="([^"]*)", function="([^"]*)"\]/;
const TASK_OF_CALL = pattern(
  "m",
  String.raw`^ {4}const hostProvided = true;\n[\s\S]*?^ {4}const started = `,
  String.raw`(?:task\.enterSync\(\);\n|await task\.enter\(\{ isHost: hostProvided \}\);\n`,
  String.raw` {4}if \(!started\) \{\n[\s\S]*?^ {4}\}\n)`,
);
const HOST_CALL = pattern(
  "",
  String.raw`(?:await {2})?_withGlobalCurrentTaskMeta(?:Async)?\(\{\s*`,
  String.raw`componentIdx: task\.componentIdx\(\),\s*taskID: task\.id\(\),\s*`,
  String.raw`fn: \(\) => _trackHostOperation\(\(\) => (.*)\),\s*\}\)\s*;`,
);
const TASK_FAILED = pattern(
  "g",
  String.raw`getOrCreateAsyncState\(\d+\)\.markTrapped\(err\);\s*task\.setErrored\(err\);\s*`,
  String.raw`task\.reject\(err\);\s*task\.exit\(\);\s*`,
  String.raw`(?:throw err|return task\.completionPromise\(\));`,
);
/** What taking an owned handle over does to the tables. */
const HANDLE_TAKEN =
  /captureTable\d+\.delete\(rep\d+\);|rscTableRemove\(handleTable\d+, handle\d+\);/g;
const TASK_TRAPPED = /getOrCreateAsyncState\(\d+\)\.markTrapped\(e\)/g;
const TASK_RESOLVED = /^ *task\.(?:resolve\(\[.*\]\)|exit\(\));\n/gm;

function leanTrampolines(code: string, suspending: ReadonlySet<string>): string {
  return code.replace(MANUALLY_ASYNC, "").replace(TRAMPOLINE, (text, name: string) => {
    const [, iface = "", called = ""] = SIGNATURE.exec(text) ?? [];
    const waits = suspending.has(`${iface}#${called}`);
    const lean = text
      .replace(`const ${name} = async function`, `const ${name} = function`)
      .replace(SIGNATURE_LINE, "")
      .replace(TASK_OF_CALL, "")
      .replace(HOST_CALL, (_call, expression: string) =>
        waits ? `_call(() => ${expression});` : `${expression};`,
      )
      .replace(TASK_FAILED, "throw err;")
      .replace(TASK_TRAPPED, "_isTrap(e)")
      .replace(TASK_RESOLVED, "");
    if (!waits) return lean;
    const once = lean.replace(HANDLE_TAKEN, "if (_settled === undefined) $&");
    return `${once}  ${name}.waits = true;\n`;
  });
}

/** Kept until here, because it tells which function a trampoline lowers. */
const SIGNATURE_LINE = /^ *_debugLog\('\[iface=.*\n/m;
const LOWERING = /let (trampoline\d+) = (_trampoline\d+)\.manuallyAsync \? [\s\S]*?\n {2}\);\n/g;

function leanLowerings(code: string): string {
  return code.replace(LOWERING, (_text, name: string, lowering: string) => {
    const waits = code.includes(`  ${lowering}.waits = true;\n`);
    return `const ${name} = ${waits ? `_suspending(${lowering})` : lowering};\n`;
  });
}

/** An exported function; the translator gives it a task of its own. */
const EXPORT =
  /^ {2}(?:async )?function [\w$]+\(.*\) \{\s*const hostProvided = false;\n[\s\S]*?^ {2}\}\n/gm;
const TASK_OF_EXPORT = pattern(
  "m",
  String.raw`getOrCreateAsyncState\(\d+\)\.throwIfTrapped\(\);[\s\S]*?`,
  String.raw`^ {4}CURRENT_TASK_MAY_BLOCK\.value = .*\n`,
);
const RETURN_MEMORY = /^ {4}if \(\w+ ?!== null\) \{\s*task\.setReturnMemoryIdx\([\s\S]*?^ {4}\}\n/m;
const WITH_META = pattern(
  "g",
  String.raw`(await|return await|return) _withGlobalCurrentTaskMeta(?:Async)?\(\{\s*`,
  String.raw`taskID: task\.id\(\),\s*componentIdx: task\.componentIdx\(\),\s*`,
  String.raw`fn: ((?:async )?\(\) => )`,
);
const POST_RETURN = pattern(
  "",
  String.raw`let cstate = getOrCreateAsyncState\(\d+\);\s*cstate\.mayLeave = false;\s*(.*)\s*`,
  String.raw`cstate\.mayLeave = true;`,
);
const LATE_FAILURE =
  /^ *if \(!task\.isResolvedState\(\)\) \{[\s\S]*?^ *if \(!task\.isExited\(\)\) .*\n/m;

function leanExports(code: string): string {
  return code.replace(EXPORT, (text) =>
    text
      .replace(TASK_OF_EXPORT, "")
      .replace(RETURN_MEMORY, "")
      .replaceAll(WITH_META, "$1 _enter({ fn: $2")
      .replaceAll("_enter({ fn: ", "(({ fn }) => fn())({ fn: ")
      .replace(TASK_FAILED, "throw err;")
      .replace(TASK_RESOLVED, "")
      .replace(POST_RETURN, "$1")
      .replace(LATE_FAILURE, ""),
  );
}

/** Statements of their own, one line or several; the signatures of trampolines stay for now. */
const DEBUGGING = /^( *)_debugLog\((?!'\[iface=.*@ enter\)'\);)[\s\S]*?\);\n/gm;

function withoutDebugging(code: string): string {
  return code.replace(DEBUGGING, "").replace(DEBUG_LOG, "");
}

/** The beginning of a function or class of the generated code's own. */
const DECLARATION = /^ {0,4}(?:async )?(?:function\*?|class) ([\w$]+)[^\n]*\{\n/gm;
const WORD = /[\w$]+/g;

interface Declaration {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Takes the declarations away that nothing outside of them leads to. */
function withoutUnused(code: string): string {
  const declarations: Declaration[] = [];
  for (const declaration of declarationsOf(code)) {
    // One inside another one stays or goes with it.
    if (declaration.start >= (declarations.at(-1)?.end ?? 0)) declarations.push(declaration);
  }
  const outside = withoutRanges(code, declarations);
  const reached = new Set<Declaration>();
  const texts = [outside];
  for (let text = texts.pop(); text !== undefined; text = texts.pop()) {
    const words = new Set(text.match(WORD));
    for (const declaration of declarations) {
      if (reached.has(declaration) || !words.has(declaration.name)) continue;
      reached.add(declaration);
      texts.push(code.slice(declaration.start, declaration.end));
    }
  }
  const unused = declarations.filter((declaration) => !reached.has(declaration));
  return withoutRanges(code, unused);
}

function withoutRanges(code: string, ranges: readonly Declaration[]): string {
  const kept = ranges.map(({ start }, index) => code.slice(ranges[index - 1]?.end ?? 0, start));
  return kept.join("") + code.slice(ranges.at(-1)?.end ?? 0);
}

function declarationsOf(code: string): Declaration[] {
  const parser = new Bun.Transpiler({ loader: "js" });
  return [...code.matchAll(DECLARATION)].flatMap(({ 1: name = "", index: start }) => {
    const end = endOfBraces(code, start);
    const whole = end !== undefined && isWhole(parser, code.slice(start, end));
    return whole ? [{ name, start, end }] : [];
  });
}

/**
 * After the line on which the braces that begin at `start` are closed: indentation does not tell.
 * Braces in strings count as well; that the text is whole is looked at afterwards.
 */
function endOfBraces(code: string, start: number): number | undefined {
  let open = 0;
  for (let at = start; at < code.length;) {
    const newline = code.indexOf("\n", at);
    const end = newline < 0 ? code.length : newline + 1;
    for (; at < end; at++) {
      if (code[at] === "{") open++;
      else if (code[at] === "}") open--;
    }
    if (open <= 0) return open === 0 ? end : undefined;
  }
  return undefined;
}

function isWhole(parser: Bun.Transpiler, text: string): boolean {
  try {
    parser.scanImports(text);
    return true;
  } catch {
    return false; // Cut in its middle.
  }
}
