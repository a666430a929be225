import { type CriMethod, imageMethod, runtimeMethod } from "./cri-client.ts";
import * as m from "./messages.ts";

/** What we call of the CRI's two services. */
export const RUNTIME = {
  version: runtimeMethod("Version", m.VersionRequest, m.VersionResponse),
  status: runtimeMethod("Status", m.StatusRequest, m.StatusResponse),
  runPodSandbox: runtimeMethod("RunPodSandbox", m.RunPodSandboxRequest, m.RunPodSandboxResponse),
  stopPodSandbox: runtimeMethod("StopPodSandbox", m.PodSandboxRequest, m.Nothing),
  removePodSandbox: runtimeMethod("RemovePodSandbox", m.PodSandboxRequest, m.Nothing),
  podSandboxStatus: runtimeMethod(
    "PodSandboxStatus",
    m.PodSandboxRequest,
    m.PodSandboxStatusResponse,
  ),
  listPodSandboxes: runtimeMethod(
    "ListPodSandbox",
    m.ListPodSandboxRequest,
    m.ListPodSandboxResponse,
  ),
  createContainer: runtimeMethod(
    "CreateContainer",
    m.CreateContainerRequest,
    m.CreateContainerResponse,
  ),
  startContainer: runtimeMethod("StartContainer", m.ContainerRequest, m.Nothing),
  stopContainer: runtimeMethod("StopContainer", m.StopContainerRequest, m.Nothing),
  removeContainer: runtimeMethod("RemoveContainer", m.ContainerRequest, m.Nothing),
  listContainers: runtimeMethod(
    "ListContainers",
    m.ListContainersRequest,
    m.ListContainersResponse,
  ),
  containerStatus: runtimeMethod("ContainerStatus", m.ContainerRequest, m.ContainerStatusResponse),
  containerStats: runtimeMethod("ContainerStats", m.ContainerRequest, m.ContainerStatsResponse),
  reopenContainerLog: runtimeMethod("ReopenContainerLog", m.ContainerRequest, m.Nothing),
  execSync: runtimeMethod("ExecSync", m.ExecSyncRequest, m.ExecSyncResponse),
  exec: runtimeMethod("Exec", m.ExecRequest, m.StreamingResponse),
  attach: runtimeMethod("Attach", m.AttachRequest, m.StreamingResponse),
  portForward: runtimeMethod("PortForward", m.PortForwardRequest, m.StreamingResponse),
} as const;

export const IMAGE = {
  listImages: imageMethod("ListImages", m.ListImagesRequest, m.ListImagesResponse),
  imageStatus: imageMethod("ImageStatus", m.ImageRequest, m.ImageStatusResponse),
  pullImage: imageMethod("PullImage", m.PullImageRequest, m.PullImageResponse),
  removeImage: imageMethod("RemoveImage", m.ImageRequest, m.Nothing),
  imageFsInfo: imageMethod("ImageFsInfo", m.Nothing, m.ImageFsInfoResponse),
} as const;

/** containerd tells of its tasks before its CRI does. */
export const CONTAINERD_EVENTS: CriMethod<typeof m.SubscribeRequest, typeof m.EventEnvelope> = {
  path: "/containerd.services.events.v1.Events/Subscribe",
  input: m.SubscribeRequest,
  output: m.EventEnvelope,
};
