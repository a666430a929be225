/** Bytes of a file's name, as file systems have it; names of objects are a little longer there. */
export const MAX_FILE_NAME_BYTES = 255;

/** Besides control characters: what no file name may have, and what escapes begin with. */
const ESCAPED = new Set(["%", "/", "\u007f"]);
const FIRST_PRINTABLE = " ";

/**
 * The file that holds an object. Names of objects are any text: a slash, a dot at the beginning,
 * control characters and `%` are written as `%2F`, and the empty name as `%`. So no name leads out
 * of the directory, and none is that of a temporary file, which begin with a dot. Undefined for
 * what is too long.
 */
export function fileNameOf(objectName: string): string | undefined {
  if (objectName === "") return "%";
  let name = "";
  for (const letter of objectName) {
    const hidden = letter === "." && name === "";
    name += hidden || letter < FIRST_PRINTABLE || ESCAPED.has(letter) ? escaped(letter) : letter;
  }
  return Buffer.byteLength(name) > MAX_FILE_NAME_BYTES ? undefined : name;
}

/** The object that a file holds; undefined when the file is not an object's. */
export function objectNameOf(fileName: string): string | undefined {
  if (fileName === "%") return "";
  const name = fileName.replace(/%([0-9A-F]{2})/g, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return name !== "" && fileNameOf(name) === fileName ? name : undefined;
}

function escaped(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
