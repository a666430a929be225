export * from "./runtime.ts";
export type {
  ProcessIdentity,
  ProcessSpawner,
  ProcessUsage,
  SpawnedWorker,
  WorkerCommand,
  WorkerSignal,
} from "./process-spawner.ts";
export { createWasiRuntime } from "./wasi/wasi-runtime.ts";
export type { WasiRuntime, WasiRuntimeOptions } from "./wasi/wasi-runtime.ts";
export type { EgressGate, EgressOptions } from "./wasi/component/egress-gate.ts";
export { listenForCalls } from "./wasi/component/keyvalue-gate.ts";
export type { KeyvalueGate } from "./wasi/component/keyvalue-gate.ts";
export type { KeyvalueAnswer, KeyvalueCall } from "./wasi/component/keyvalue-protocol.ts";
export { openProcessLimits } from "./wasi/limits/open-process-limits.ts";
export type { ProcessGroup, ProcessLimits } from "./wasi/limits/process-limits.ts";
export { isAllowed } from "./wasi/component/pod-grants.ts";
export type { AllowedHost, OutgoingScheme } from "./wasi/component/pod-grants.ts";
export { translateComponent } from "./wasi/component/translate-component.ts";
export { buildWorkerCode } from "./wasi/worker-code/build-worker-code.ts";
export type { NetworkCommands } from "./network-commands.ts";
export { logFiles } from "./log-files.ts";
export { containerNamespaceDirectory, createOciRuntime } from "./oci/oci-runtime.ts";
export type { OciRuntime, OciRuntimeOptions } from "./oci/oci-runtime.ts";
export type { CriStreams } from "./oci/cri-streams.ts";
export { createCriStreams } from "./oci/streaming/cri-streaming.ts";
export type { KnownSandbox, PodNetworks, SandboxKey } from "./oci/pod-networks.ts";
export type { RegistryMirror, RegistryRoute } from "./oci/registry-routes.ts";
export { createMixedRuntime } from "./mixed/mixed-runtime.ts";
export type { MixedRuntimeOptions, RuntimePart } from "./mixed/mixed-runtime.ts";
export { closeBridgeNetworks, createBridgeNetworks } from "./oci/network/bridge-networks.ts";
export type { BridgeNetworks, BridgeNetworksOptions } from "./oci/network/bridge-networks.ts";
