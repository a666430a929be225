/** A Deployment as people write them: the yardstick of tests and measurements. */
export function typicalDeployment(): Record<string, unknown> {
  const probe = { httpGet: { path: "/", port: 8080 }, periodSeconds: 5 };
  const container = {
    name: "web",
    image: "registry.example.com/web:1.2.3",
    args: ["--verbose", "--port=8080"],
    env: [
      { name: "MODE", value: "production" },
      { name: "TOKEN", valueFrom: { secretKeyRef: { name: "web", key: "token" } } },
    ],
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
    resources: { limits: { cpu: "500m", memory: "128Mi" }, requests: { cpu: "100m" } },
    readinessProbe: probe,
    livenessProbe: probe,
    volumeMounts: [{ name: "config", mountPath: "/etc/web", readOnly: true }],
  };
  return structuredClone({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default", labels: { app: "web" } },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: "web" }, annotations: { "example.com/reason": "rollout" } },
        spec: {
          containers: [container],
          volumes: [{ name: "config", configMap: { name: "web" } }],
          terminationGracePeriodSeconds: 30,
        },
      },
    },
  });
}
