import { buildImage, file, imageArchive } from "./image-archive.ts";
import { type PauseArchitecture, pauseProgram } from "./pause-program.ts";

/** Under this name our containerd finds the image of pods themselves; no registry has it. */
export const PAUSE_IMAGE = "kubun.internal/pause:1";

/** An archive with {@link PAUSE_IMAGE}, the same bytes each time. */
export async function pauseImageArchive(architecture: PauseArchitecture): Promise<Uint8Array> {
  const image = await buildImage({
    name: PAUSE_IMAGE,
    architecture,
    files: [file("pause", pauseProgram(architecture), 0o755)],
    config: { Entrypoint: ["/pause"], WorkingDir: "/" },
  });
  return imageArchive(image);
}
