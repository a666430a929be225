import type { InputSource } from "../preview2/io/input-stream.ts";
import { IoFailure } from "../preview2/io/io-failure.ts";
import type { FrontExchange } from "./http-front/front-exchange.ts";
import type { ReceivedBody } from "../preview2/http/received-body.ts";

/**
 * A request's body that is lent to one guest after the other: as long as none has read of it, who
 * lets it go does not end it.
 */
export class LentBody {
  readonly #exchange: FrontExchange;
  readonly #body: ReceivedBody;
  #lenders = 0;
  #touched = false;
  #kept = true;
  /** A guest let it go; it is ended when no other will want it. */
  #unwanted = false;

  constructor(exchange: FrontExchange, body: ReceivedBody) {
    this.#exchange = exchange;
    this.#body = body;
  }

  /** Somebody began to read it. */
  get touched(): boolean {
    return this.#touched;
  }

  lend(): InputSource {
    this.#unwanted = false;
    const lender = ++this.#lenders;
    return {
      read: (limit) => {
        this.#exchange.wantBody();
        const bytes = this.#read(limit);
        if (bytes === undefined || bytes.length > 0) this.#touched = true;
        return bytes;
      },
      ready: () => {
        this.#exchange.wantBody();
        return this.#body.ready();
      },
      watch: (callback) => this.#body.watch(callback),
      close: () => {
        // The guest it was lent to first may end after another one got it.
        if (lender !== this.#lenders) return;
        this.#unwanted = true;
        this.#endUnwanted();
      },
    };
  }

  /** Nobody else will want it: whoever has it lets it go for good. */
  settle(): void {
    this.#kept = false;
    this.#endUnwanted();
  }

  /** Nobody has it any more. */
  end(): void {
    this.#body.close();
  }

  #read(limit: number): Uint8Array | undefined {
    try {
      return this.#body.read(limit);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new IoFailure(message, { kind: "http", code: { tag: "connection-terminated" } });
    }
  }

  #endUnwanted(): void {
    if (!this.#unwanted || (this.#kept && !this.#touched)) return;
    this.#body.close();
  }
}
