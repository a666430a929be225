import {
  maskTrailingDash,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePathSegmentName,
} from "../apimachinery/index.ts";
import type { NameRule } from "./kind-logic.ts";

function ruleOf(check: (text: string) => string[]): NameRule {
  return (name, { prefix }) => check(prefix ? maskTrailingDash(name) : name);
}

/** Names of most objects. */
export const SUBDOMAIN_NAME = ruleOf(validateDns1123Subdomain);
/** Names of Namespaces. */
export const LABEL_NAME = ruleOf(validateDns1123Label);
/** Names of Services, which become names of environment variables. */
export const SERVICE_NAME = ruleOf(validateDns1035Label);
/** Names of IPAddresses. */
export const IP_NAME: NameRule = (name) => validateIpAddress(name);
/** Names of RBAC objects: all that fits a segment of a path. */
export const PATH_SEGMENT_NAME: NameRule = (name, { prefix }) =>
  prefix && /^\.\.?$/.test(name) ? [] : validatePathSegmentName(name);
