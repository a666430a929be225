/** How many seconds pods stay on a node that fails, unless they say otherwise. */
export interface DefaultTolerations {
  readonly notReady: number;
  readonly unreachable: number;
}

/** What pods are given unless they say otherwise. */
export interface PodDefaults extends DefaultTolerations {
  /** Whether programs find a token of their account; absent where the API issues none. */
  readonly accountTokens?: "mounted";
}

/** As in Kubernetes. */
export const DEFAULT_TOLERATIONS: DefaultTolerations = { notReady: 300, unreachable: 300 };
