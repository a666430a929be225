/** Hosts and stores named in notes of one container; later ones are refused without a note. */
export const MAX_DENIAL_NOTES = 256;

/** Says once for each thing that was refused which annotation would grant it. */
export class DenialNotes {
  readonly #note: (line: string) => void;
  readonly #told = new Set<string>();

  constructor(note: (line: string) => void) {
    this.#note = note;
  }

  /** `what` is the refused thing as the annotation would have it, such as `http://db:8080`. */
  tell(interfaceName: string, what: string, annotation: string): void {
    this.unavailable(
      interfaceName,
      what,
      `the pod's annotation ${annotation} does not grant it, which the entry ` +
        `${JSON.stringify(what)} would`,
    );
  }

  /** For what no annotation helps. */
  unavailable(interfaceName: string, what: string, why: string): void {
    const key = `${interfaceName} ${what}`;
    if (this.#told.has(key) || this.#told.size >= MAX_DENIAL_NOTES) return;
    this.#told.add(key);
    this.#note(`${interfaceName}: ${what} is refused: ${why}`);
  }
}
