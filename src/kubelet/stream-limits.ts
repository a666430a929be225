/** Programs that are run or joined and ports that are connected to, at the same time. */
export const MAX_STREAMS_A_POD = 300;
export const MAX_STREAMS_A_NODE = 900;

/** Counts the open streams of a node. */
export class StreamLimits {
  readonly #ofPod = new Map<string, number>();
  #all = 0;

  /** A text says which limit is reached. `release` may be called several times. */
  take(podUid: string): { readonly release: () => void } | string {
    const before = this.#ofPod.get(podUid) ?? 0;
    if (this.#all >= MAX_STREAMS_A_NODE) return `${MAX_STREAMS_A_NODE} streams are open here`;
    if (before >= MAX_STREAMS_A_POD) return `${MAX_STREAMS_A_POD} streams to this pod are open`;
    this.#ofPod.set(podUid, before + 1);
    this.#all++;
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#all--;
        const left = (this.#ofPod.get(podUid) ?? 1) - 1;
        if (left === 0) this.#ofPod.delete(podUid);
        else this.#ofPod.set(podUid, left);
      },
    };
  }
}
