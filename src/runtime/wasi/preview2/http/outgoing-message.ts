import type { HttpHeaders } from "../preview-two.ts";
import { plainFailure } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import type { BodyPipe } from "./body-pipe.ts";
import { Fields, heldBytesOf } from "./fields.ts";
import { OutgoingBody, type MessageKind } from "./outgoing-body.ts";

/** What requests and responses that a guest makes have in common: fields, a body and its length. */
export abstract class OutgoingMessage extends Resource {
  protected readonly fields: HttpHeaders;
  /** The one content-length that the fields declare; undefined when none can be read. */
  protected readonly declaredLength: number | undefined;
  /** Undefined until the guest asks for the body. */
  protected pipe: BodyPipe | undefined;
  readonly #kind: MessageKind;
  #heldBytes: number;

  /** Takes the headers: they cannot be changed any more. */
  constructor(scope: InstanceScope, headers: Fields, kind: MessageKind) {
    super(scope);
    this.#kind = kind;
    this.fields = headers.take();
    this.declaredLength = declaredLength(this.fields);
    this.#heldBytes = heldBytesOf(this.fields);
    scope.hold(this.#heldBytes);
  }

  headers(): Fields {
    return new Fields(this.scope, this.fields, { immutable: true, parent: this });
  }

  body(): OutgoingBody {
    if (this.pipe !== undefined) throw plainFailure();
    const options = { kind: this.#kind, declared: this.declaredLength };
    const body = new OutgoingBody(this.scope, options);
    this.pipe = body.pipe;
    return body;
  }

  /** Counts bytes that the message has beside its fields. */
  protected hold(bytes: number): void {
    this.scope.hold(bytes);
    this.#heldBytes += bytes;
  }

  protected override released(): void {
    this.scope.letGo(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

function declaredLength(headers: HttpHeaders): number | undefined {
  const first = headers.find(([name]) => name.length === 14 && /^content-length$/i.test(name));
  if (first === undefined) return undefined;
  const text = new TextDecoder().decode(first[1]).trim();
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
