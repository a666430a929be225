import type { Container, Pod } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";
import type { ContainerResources } from "../runtime/index.ts";
import { requested } from "./admission.ts";
import { qosClassOf } from "./qos-class.ts";

/** What the runtime is told of a container's part of the processor. */
export function containerResources(pod: Pod, container: Container): ContainerResources {
  const { requests, limits } = container.resources ?? {};
  const cpuLimit = limits?.["cpu"];
  const cpuRequest = requests?.["cpu"] ?? cpuLimit;
  return {
    qosClass: qosClassOf(pod),
    podCpuRequestMillis: requested(pod, "cpu", "milli"),
    ...(cpuRequest === undefined
      ? {}
      : { cpuRequestMillis: parseQuantity(cpuRequest).milliValue() }),
    ...(cpuLimit === undefined ? {} : { cpuLimitMillis: parseQuantity(cpuLimit).milliValue() }),
  };
}
