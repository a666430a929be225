export { createProxy } from "./proxy.ts";
export type { Proxy, ProxyOptions } from "./proxy.ts";
