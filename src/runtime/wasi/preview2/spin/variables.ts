import type { InstanceContext, Interfaces } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";

/** `error` of fermyon:spin/variables. */
export type VariablesError = {
  readonly tag: "invalid-name" | "undefined" | "provider" | "other";
  readonly val: string;
};
/** `error` of fermyon:spin/config, its former name. */
export type SpinConfigError = {
  readonly tag: "provider" | "invalid-key" | "invalid-schema" | "other";
  readonly val: string;
};

const NAME = /^[a-z][a-z0-9_]*$/i;

/**
 * Spin's variables: the container's environment, as wasi:config has it. Spin's names are in lower
 * case, which those of a PodSpec's `env` seldom are: a name that is not there as it was asked for
 * is looked for in upper case.
 */
export function spinVariables({ options }: InstanceContext): Interfaces {
  const values = new Map(options.env);
  const find = (name: string) => values.get(name) ?? values.get(name.toUpperCase());
  const get = (name: string): string => {
    if (!NAME.test(name)) throw new GuestError<VariablesError>({ tag: "invalid-name", val: name });
    const value = find(name);
    if (value !== undefined) return value;
    throw new GuestError<VariablesError>({ tag: "undefined", val: name });
  };
  const getConfig = (key: string): string => {
    if (!NAME.test(key)) throw new GuestError<SpinConfigError>({ tag: "invalid-key", val: key });
    const value = find(key);
    if (value !== undefined) return value;
    throw new GuestError<SpinConfigError>({ tag: "provider", val: `no value for ${key}` });
  };
  return { "fermyon:spin/variables": { get }, "fermyon:spin/config": { getConfig } };
}
