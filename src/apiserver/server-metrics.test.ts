import { describe, expect, test } from "bun:test";
import { ServerMetrics } from "./server-metrics.ts";

const pods = { group: "", resource: "pods", subresource: "" };

describe("ServerMetrics", () => {
  test("ServerMetrics: counts requests by verb, resource and code, and their time", async () => {
    const metrics = new ServerMetrics([]);
    metrics.served({ verb: "list", of: pods, code: 200, seconds: 0.03, stream: false });
    metrics.served({ verb: "list", of: pods, code: 200, seconds: 0.3, stream: false });
    metrics.served({ verb: "get", code: 404, seconds: 0.001, stream: false });
    metrics.served({ verb: "watch", of: pods, code: 200, seconds: 0.001, stream: true });
    const text = await metrics.answer().text();
    const labels = 'verb="list",group="",resource="pods",subresource=""';
    expect(text).toContain(`apiserver_request_total{${labels},code="200"} 2`);
    expect(text).toContain(`apiserver_request_duration_seconds_bucket{${labels},le="0.05"} 1`);
    expect(text).toContain(`apiserver_request_duration_seconds_count{${labels}} 2`);
    expect(text).toContain('verb="watch",group="",resource="pods",subresource="",code="200"} 1');
    expect(text).not.toContain('_seconds_count{verb="watch"');
  });

  test("ServerMetrics: asks other rooms when it is read", async () => {
    let revision = 1;
    const reading = { name: "kubun_store_revision", help: "Latest.", read: () => revision };
    const busy = { name: "process_cpu_seconds_total", help: "Busy.", read: () => 2.5 };
    const metrics = new ServerMetrics([reading, busy]);
    revision = 7;
    metrics.answer();
    const response = metrics.answer();
    const text = await response.text();
    expect(text).toContain(
      "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 2.5",
    );
    expect(text).toContain("# TYPE kubun_store_revision gauge\nkubun_store_revision 7");
    expect(response.headers.get("content-type")).toContain("text/plain");
  });
});
