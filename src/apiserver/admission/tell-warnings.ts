import type { ApiRequest } from "../api-request.ts";

/** Takes what the registry's admission warns of into the answer, once however often it is said. */
export function tellWarnings({ warnings }: Pick<ApiRequest, "warnings">): (text: string) => void {
  return (text) => {
    if (!warnings.includes(text)) warnings.push(text);
  };
}
