import { test } from "bun:test";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
test("x", async () => {
  await using group = await spawnServerGroup({ servers: 3 });
  const leader = await group.leader();
  const ks = group.servers.map((s) => kubectlWith(s.kubeconfig));
  console.log("leader", leader);
  for (let i = 0; i < 3; i++) {
    const k = ks[i]!;
    const t = performance.now();
    console.log(i, (await k("create", "role", `r${i}`, "--verb=get,list", "--resource=pods")).stderr);
    console.log(i, (await k("create", "rolebinding", `b${i}`, `--role=r${i}`, `--user=u${i}`)).stderr);
    console.log(i, (await k("get", "pods", `--as=u${i}`)).stderr, (await ks[(i + 1) % 3]!("get", "pods", `--as=u${i}`)).stderr);
    console.log(i, (await k("get", "leases", "-n", "kube-node-lease")).stdout);
    console.log(i, (await k("auth", "whoami")).stdout, performance.now() - t);
  }
  // writes through followers, sequential latency
  for (let i = 0; i < 3; i++) {
    const s = group.servers[i]!;
    const token = (await Bun.file(s.kubeconfig).text()).match(/token: (\S+)/)![1];
    const ca = Buffer.from((await Bun.file(s.kubeconfig).text()).match(/certificate-authority-data: (\S+)/)![1]!, "base64").toString();
    const t = performance.now();
    const codes: Record<string, number> = {};
    for (let n = 0; n < 100; n++) {
      const r = await fetch(`${s.url}/api/v1/namespaces/default/configmaps`, { method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify({ metadata: { name: `c${i}-${n}` } }), tls: { ca } } as never);
      await r.text(); codes[r.status] = (codes[r.status] ?? 0) + 1;
    }
    const each = (performance.now() - t) / 100;
    // read own write with rv=0
    let missing = 0;
    for (let n = 0; n < 50; n++) {
      const r = await fetch(`${s.url}/api/v1/namespaces/default/configmaps`, { method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify({ metadata: { name: `d${i}-${n}` } }), tls: { ca } } as never);
      await r.text();
      const g = await fetch(`${s.url}/api/v1/namespaces/default/configmaps/d${i}-${n}?resourceVersion=0`, { headers: { authorization: `Bearer ${token}` }, tls: { ca } } as never);
      await g.text(); if (g.status !== 200) missing++;
    }
    const conc = performance.now();
    await Promise.all(Array.from({ length: 32 }, async (_, w) => { for (let n = 0; n < 30; n++) { const r = await fetch(`${s.url}/api/v1/namespaces/default/configmaps`, { method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify({ metadata: { name: `e${i}-${w}-${n}` } }), tls: { ca } } as never); await r.text(); codes[r.status] = (codes[r.status] ?? 0) + 1; } }));
    console.log(i, i === leader ? "leader" : "follower", each.toFixed(1), "ms/write", codes, "missing", missing, "conc/s", (960 / (performance.now() - conc) * 1000).toFixed(0));
  }
}, 180000);
