// A client of the controller that is no Python: over TLS, with a token, from the .proto files alone.
//
//   E2E_CONTROLLER=localhost:9443 E2E_CA_FILE=certs/ca.crt E2E_TOKEN_FILE=token node client.mjs [environment]

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const PROTO = process.env.E2E_PROTO ?? fileURLToPath(new URL("../../proto", import.meta.url));
const SERVICES = ["manifest", "environment", "wait", "metric", "container"];

const { e2e } = grpc.loadPackageDefinition(
  loader.loadSync(
    SERVICES.map((name) => `e2e/v1/${name}_service.proto`),
    { includeDirs: [PROTO], keepCase: true, enums: String, longs: Number, oneofs: true },
  ),
);

/** What every call is made with: TLS that believes one CA, and a token in its metadata. */
function credentials() {
  const token = readFileSync(process.env.E2E_TOKEN_FILE, "utf8").trim();
  const tls = grpc.credentials.createSsl(readFileSync(process.env.E2E_CA_FILE));
  const bearer = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    done(null, metadata);
  });
  return grpc.credentials.combineChannelCredentials(tls, bearer);
}

const shown = credentials();
const [manifests, environments, waits, metrics, containers] = [
  "ManifestService",
  "EnvironmentService",
  "WaitService",
  "MetricService",
  "ContainerService",
].map((name) => new e2e.v1[name](process.env.E2E_CONTROLLER, shown));

const deadline = (seconds) => ({ deadline: Date.now() + 1000 * seconds });

/** One request, one response. */
function ask(client, method, request, seconds = 30) {
  return new Promise((resolve, reject) => {
    client[method](request, deadline(seconds), (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

/** All that a call sends until it ends, given what begins it. */
async function all(call) {
  const answers = [];
  for await (const answer of call) answers.push(answer);
  return answers;
}

async function main(environment) {
  const key = { environment, kind: "Workload", name: "web" };
  const manifest = {
    apiVersion: "e2e/v1",
    kind: "Workload",
    metadata: { name: "web" },
    spec: {
      image: "docker.io/library/busybox:1.36",
      command: ["httpd", "-f", "-p", "80", "-h", "/www"],
      files: [{ path: "/www/metrics", content: "# TYPE visits counter\nvisits 7\n" }],
      ports: { http: 80 },
      readiness: { http: { port: "http", path: "/metrics" } },
      metrics: { port: "http" },
    },
  };
  // The environment lives for as long as this stream is open: it goes when this process does.
  const lease = environments.Hold({ environment, fresh: true });
  await new Promise((resolve, reject) => lease.once("data", resolve).once("error", reject));
  lease.on("error", () => {}); // it is cancelled below

  await ask(manifests, "Apply", { documents: JSON.stringify(manifest), environment });
  await all(waits.WaitConditions({ keys: [key], goal: "WAIT_GOAL_READY" }, deadline(60)));
  const { object } = await ask(manifests, "Get", { key });
  console.log(`ready at ${object.status.endpoints[0].external}`);

  const expectation = { type: "EXPECTATION_TYPE_EQUALS", operands: [7] };
  const { sample } = await ask(metrics, "WaitMetrics", { selection: { key, names: ["visits"] }, expectation });
  console.log(`visits ${sample.sums[0].value}`);

  const exec = containers.Exec(deadline(30));
  exec.write({ start: { key, command: ["cat", "/etc/hostname", "/www/metrics"] } });
  exec.end();
  const pieces = await all(exec);
  console.log(`exit code ${pieces.at(-1).exit_code}, ${Buffer.concat(pieces.flatMap((p) => p.stdout ?? [])).length} bytes`);

  await ask(manifests, "Delete", { keys: [key] });
  await all(waits.WaitConditions({ keys: [key], goal: "WAIT_GOAL_DELETED" }, deadline(60))).catch((error) => {
    if (error.code !== grpc.status.NOT_FOUND) throw error; // it was gone before the wait began
  });
  console.log("deleted");

  const outside = { key: { ...key, environment: "somebody-elses" } };
  const refusal = await ask(manifests, "Get", outside).catch((error) => error);
  console.log(`elsewhere: ${grpc.status[refusal.code]}`);
  lease.cancel();
}

try {
  await main(process.argv[2] ?? "from-node");
} catch (error) {
  console.error(`${grpc.status[error.code] ?? "failed"}: ${error.details ?? error}`);
  process.exitCode = 1;
}
