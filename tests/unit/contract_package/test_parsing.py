"""Manifests as text: everything that is allowed is read, and every error says where it is and what to do."""

import contextlib
import json
import textwrap

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from e2e_api import yaml_nodes
from e2e_api.manifests import Environment, Workload
from e2e_api.parsing import Document, parse_documents
from e2e_api.problems import UnreadableError
from e2e_api.yaml_nodes import MAX_BYTES

HEAD = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: web}\nspec:\n  image: busybox\n"

EVERYTHING = """\
apiVersion: e2e/v1
kind: Workload
metadata:
  name: prometheus-1
  environment: thanos
  labels: {app: prometheus}
spec:
  image: quay.io/prometheus/prometheus:v3.5.0
  imagePullPolicy: IfNotPresent
  entrypoint: []
  command: [prometheus, --config.file=/etc/prometheus/prometheus.yml]
  env: {TZ: UTC}
  user: "1000"
  workingDir: /
  ports: {http: 9090, debug: {containerPort: 9091, hostPort: 19091, protocol: tcp}}
  files:
    - {path: /etc/prometheus/prometheus.yml, content: "...", mode: 0644, onChange: Recreate}
  volumes: [{source: data, target: /data, readOnly: false}, {source: ./x, target: /x}]
  readiness:
    http: {port: http, path: /-/ready, scheme: HTTP, statusMin: 200, statusMax: 299, contains: [x], headers: {A: b}}
    timeout: 1s
    startupTimeout: 60s
    period: 10s
    failureThreshold: 3
  metrics: {port: http, path: /metrics, scheme: http}
  resources: {memory: 256Mi, cpus: 0.5}
  security: {privileged: false, capabilities: [SYS_ADMIN], userns: host}
  restartPolicy: Never
  stop: {signal: SIGTERM, gracePeriod: 30s}
  state: Running
---
apiVersion: e2e/v1
kind: Environment
metadata: {name: thanos}
spec:
  resources: {memory: 1Gi, cpus: 500m}
  volumes: [{source: shared, target: /shared}]
  labels: {team: observability}
  ttl: 1h30m
  keepOnFailure: true
"""  # noqa: E501


def workload(spec: str) -> bytes:
    """A workload with an image, and these lines in its spec, from line 6 on."""
    return (HEAD + textwrap.indent(spec, "  ")).encode()


def problems(data: bytes) -> list[str]:
    return [str(problem) for document in parse_documents(data) for problem in document.problems]


def test_every_field() -> None:
    first, second = parse_documents(EVERYTHING.encode())
    assert not first.problems
    assert not second.problems
    assert (first.line, first.kind, first.name, first.environment) == (
        1,
        "Workload",
        "prometheus-1",
        "thanos",
    )
    assert (second.line, second.kind, second.name) == (32, "Environment", "thanos")
    assert isinstance(first.manifest, Workload)
    assert isinstance(second.manifest, Environment)
    spec = first.manifest.spec
    assert spec.ports["http"].container_port == 9090
    assert spec.ports["debug"].host_port == 19091
    assert (spec.entrypoint, spec.resources.memory, spec.resources.cpus) == ((), 256 * 2**20, 0.5)
    assert spec.files[0].mode == 0o644
    assert second.manifest.spec.ttl == 5400.0
    assert second.manifest.spec.resources.cpus == 0.5


@pytest.mark.parametrize(
    "probe",
    [
        "tcp: {port: http}",
        "exec: {command: [cat, /ready]}",
        "grpc: {port: http, service: x}",
        "log: {pattern: 'started in \\d+ms', count: 2}",
        "healthcheck: {}",
    ],
)
def test_every_probe(probe: str) -> None:
    assert not problems(workload(f"ports: {{http: 80}}\nreadiness: {{{probe}}}"))


def test_a_build_instead_of_an_image() -> None:
    data = workload("build: {context: ., dockerfile: Dockerfile, args: {A: b}, target: x}")
    assert not problems(data.replace(b"  image: busybox\n", b""))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        # not known
        ("comand: [x]", "6:3: spec.comand: unknown field; did you mean command?; known are image, "),
        ("readyness: {}", "6:3: spec.readyness: unknown field; did you mean readiness?"),
        ("restartpolicy: Never", "6:3: spec.restartpolicy: unknown field; did you mean restartPolicy?"),
        ("image_pull_policy: Never", "unknown field; did you mean imagePullPolicy?"),
        (
            "ports:\n  http: {containerport: 80}",
            "7:12: spec.ports.http.containerport: unknown field; did you",
        ),
        ("zzz: 1", "6:3: spec.zzz: unknown field; known are image, "),
        ("resources:\n  memori: 1Gi", "7:5: spec.resources.memori: unknown field; did you mean memory?"),
        # wrong types, nothing is coerced
        ("env: {A: 1}", "6:12: spec.env.A: expected text; if it is meant as text, put quotes"),
        ("env: {DAY: 2024-01-31}", "6:14: spec.env.DAY: expected text; if it is meant as"),
        ("env: {a.b: true}", "6:14: spec.env.a.b: expected text; if"),
        ("env: [A=1]", "6:8: spec.env: expected a mapping"),
        ("command: sleep 1", "6:12: spec.command: expected a list, not 'sleep 1'"),
        ("user: 1000", "6:9: spec.user: expected text, not 1000"),
        (
            "security: {privileged: 'yes'}",
            "6:26: spec.security.privileged: expected true or false, not 'yes'",
        ),
        (
            "ports: {http: '80'}",
            "6:17: spec.ports.http: expected a port number, or a mapping with containerP",
        ),
        ("ports: [80]", "6:10: spec.ports: expected a mapping, not '[80]'"),
        ("ports: {1: 80}", "6:11: spec.ports.1: expected text, not 1"),
        ("readiness: {tcp: {port: 80}}", "6:27: spec.readiness.tcp.port: expected text, not 80"),
        # out of bounds
        ("ports: {http: 0}", "6:17: spec.ports.http.containerPort: expected greater than or equal to 1, not"),
        ("ports: {http: 65536}", "6:17: spec.ports.http.containerPort: expected less than or equal to 65535"),
        ("ports: {Http: 80}", "6:11: spec.ports.Http: expected a lowercase DNS label"),
        (
            "resources: {memory: 1Mi}",
            "6:23: spec.resources.memory: expected at least 6Mi, which is what the engine asks, not 1048576",
        ),
        (
            "resources: {memory: 256MB}",
            "6:23: spec.resources.memory: expected a quantity such as 256Mi, 500m",
        ),
        (
            "stop: {gracePeriod: 30}",
            "6:23: spec.stop.gracePeriod: expected a duration such as 1m30s or 250ms",
        ),
        ("stop: {gracePeriod: 30}", "write 30s for seconds"),
        ("stop: {signal: TERM}", "6:18: spec.stop.signal: expected a signal such as SIGTERM, or its number"),
        ("restartPolicy: never", "6:18: spec.restartPolicy: expected 'Never', 'OnFailure' or 'Always', not"),
        (
            "volumes: [{source: data, target: data}]",
            "6:36: spec.volumes.0.target: expected an absolute path: it",
        ),
        (
            "volumes: [{source: A B, target: /x}]",
            "6:22: spec.volumes.0.source: expected a volume name (a DNS",
        ),
        # what does not fit together
        ("build: {}", "5:3: spec: expected exactly one of image and build"),
        ("readiness: {timeout: 1s}", "6:14: spec.readiness: expected exactly one of http, tcp, exec, grpc"),
        (
            "ports: {http: 80}\nreadiness: {tcp: {port: h}}",
            "7:27: spec.readiness.tcp.port: port 'h' is not in",
        ),
        ("metrics: {port: http}", "6:19: spec.metrics.port: port 'http' is not in ports (none)"),
        (
            "ports: {d: {containerPort: 1, protocol: udp}}\nmetrics: {port: d}",
            "7:19: spec.metrics.port: port",
        ),
        ("ports: {a: 80, b: 80}", "6:21: spec.ports.b: 80/tcp stands there twice"),
        (
            "files: [{path: /a, content: ''}, {path: /a, content: ''}]",
            "6:36: spec.files.1: /a stands there twice",
        ),
        ("env:\n  A: '1'\n  A: '2'", "8:5: not YAML: 'A' stands there twice"),
        (
            "ports: {d: {containerPort: 1, protocol: udp}}\nprofiles: {port: d}",
            "7:20: spec.profiles.port: port",
        ),
        # rendered files
        (
            "files: [{path: /a}]",
            "6:11: spec.files.0.content: is missing; or give `from`: MetricTargets",
        ),
        (
            "files: [{path: /a, content: '', from: MetricTargets}]",
            "6:22: spec.files.0.content: comes from MetricTargets: leave it out, or `from`",
        ),
        (
            "files: [{path: /a, from: Targets}]",
            "6:28: spec.files.0.from: expected 'MetricTargets', 'ProfileTargets' or 'MetricJobs', not",
        ),
        (
            "files: [{path: /a, from: MetricTargets, onChange: Recreate}]",
            "6:53: spec.files.0.onChange: a file from MetricTargets is written into the container that is",
        ),
        (
            "files: [{path: /a, from: MetricJobs}]",
            "6:11: spec.files.0.content: is missing",
        ),
        (
            "files: [{path: /a, content: 'a: {', from: MetricJobs}]",
            "spec.files.0.content: MetricJobs adds to a configuration of Prometheus: 2:1: not YAML: ",
        ),
        (
            "files: [{path: /a, content: '[]', from: MetricJobs}]",
            "spec.files.0.content: MetricJobs adds to a configuration of Prometheus: expected one YAML",
        ),
        (
            "files: [{path: /a, content: 'scrape_configs: {}', from: MetricJobs}]",
            "spec.files.0.content: MetricJobs adds to a configuration of Prometheus: expected a list",
        ),
        # dependencies
        ("dependsOn: [{name: web}]", "6:22: spec.dependsOn.0.name: it cannot depend on itself"),
        ("dependsOn: [{name: db}, {name: db}]", "6:27: spec.dependsOn.1: db stands there twice"),
        ("dependsOn: [{name: db, condition: ready}]", "6:37: spec.dependsOn.0.condition: expected 'Ready', "),
        (
            "files: [{path: /a, content: '', onChange: Never}]",
            "6:45: spec.files.0.onChange: expected Recreate, Restart, None or a signal such as Signal(SIGH",
        ),
        (
            "files: [{path: /a, content: '', onChange: Signal(HUP)}]",
            "6:45: spec.files.0.onChange: expected Recreate, Restart, None or a signal such as Signal(SIGH",
        ),
        ('workingDir: "/a\\0b"', "6:15: not YAML: a NUL character"),
        # what an engine would refuse in its own words, or not do without a word
        (
            "user: 'a b'",
            "6:9: spec.user: expected user or user:group, such as nobody or 1000:1000, not 'a b'",
        ),
        ("workingDir: tmp", "6:15: spec.workingDir: expected an absolute path: it begins with /, not 'tmp'"),
        ("env: {'A=B': c}", "6:9: spec.env.A=B: expected a variable's name: without = and line breaks"),
        (
            'env: {"A\\nB": c}',
            "spec.env.A?B: expected a variable's name: without = and line breaks, not 'A\\nB'",
        ),
        ("entrypoint: ['']", "6:15: spec.entrypoint: expected a program's name as the first text, not an"),
        ("stop: {signal: SIGFOO}", "6:18: spec.stop.signal: expected a signal such as SIGTERM, or its num"),
        (
            "stop: {signal: '65'}",
            "6:18: spec.stop.signal: expected a signal such as SIGTERM, or its number f",
        ),
        ("stop: {gracePeriod: 2h}", "6:23: spec.stop.gracePeriod: expected at most 1h, not 2h"),
        (
            "resources: {cpus: 1E}",
            "6:21: spec.resources.cpus: expected less than or equal to 10000, not '1E'",
        ),
        (
            "files: [{path: /a, content: '', onChange: Signal(SIGFOO)}]",
            "6:45: spec.files.0.onChange: expected Recreate, Restart, None or a signal such as Signal(SIGH",
        ),
        ("files: [{path: /a/, content: ''}]", "6:18: spec.files.0.path: expected the path of a file, not of"),
        ("files: [{path: /x/.., content: ''}]", "6:18: spec.files.0.path: expected the path of a file, not"),
        ("files: [{path: /etc/hosts, content: ''}]", "would not be seen: the engine puts its own /etc/hosts"),
        ("files: [{path: //dev/x, content: ''}]", "would not be seen: the engine puts its own /dev over the"),
        ("files: [{path: /a, content: '', mode: 644}]", "6:41: spec.files.0.mode: 644 is 0o1204: write 0644"),
        (
            "files: [{path: /a, content: ''}, {path: //a, content: ''}]",
            "6:36: spec.files.1: /a stands there twice",
        ),
        (
            "files: [{path: /a, content: ''}, {path: /a/b, content: ''}]",
            "6:43: spec.files.1.path: /a is a file, too: it cannot hold /a/b",
        ),
        (
            "volumes: [{source: d, target: /d}]\nfiles: [{path: /d, content: ''}]",
            "7:18: spec.files.0.path: the volume at /d is in its place",
        ),
        (
            "volumes: [{source: d, target: /d, readOnly: true}]\nfiles: [{path: /d/a, content: ''}]",
            "7:18: spec.files.0.path: the volume at /d is readOnly",
        ),
        ("volumes: [{source: d, target: /x/..}]", "spec.volumes.0.target: nothing can be mounted at /: take"),
        ("volumes: [{source: d, target: /proc/a}]", "volumes.0.target: nothing can be mounted at /proc/a: t"),
        ("volumes: [{source: d, target: '/d:ro'}]", "not '/d:ro'; for :ro give readOnly: true"),
        (
            "ports: {a: {containerPort: 1, hostPort: 9}, b: {containerPort: 2, hostPort: 9}}",
            ": spec.ports.b.hostPort: host port 9/tcp stands there twice",
        ),
        ("readiness: {healthcheck: }", "healthcheck: is empty; give its fields, or healthcheck: {} if it"),
        ("readiness: {exec: {command: []}}", "readiness.exec.command: expected at least one item, not an e"),
        ("readiness: {exec: {command: ['']}}", "command: expected a program's name as the first text, not"),
        (
            "ports: {http: 80}\nreadiness: {http: {port: http, path: '/a#b'}}",
            "expected a path that begins with /, without # and line breaks, not '/a#b'",
        ),
        (
            "ports: {http: 80}\nreadiness: {http: {port: http, headers: {'A b': c}}}",
            "7:44: spec.readiness.http.headers.A b: expected a header's name: letters, digits and -, no sp",
        ),
        (
            'ports: {http: 80}\nreadiness: {http: {port: http, headers: {A: "b\\r\\nC: d"}}}',
            "spec.readiness.http.headers.A: expected a header's value: without line breaks",
        ),
        ("retries: 1", "6:3: spec.retries: unknown field of this kind; known to Job; known are image, "),
        # values that PyYAML itself stumbles over
        ("env: {DAY: 2024-13-45}", "6:14: not YAML: no valid timestamp; if it is meant as text, put quotes"),
        ("user: !!int x", "6:9: not YAML: no valid int; if it is meant as text, put quotes around it"),
        # numbers that take minutes to read (`1:1` is sixty-one), or that Python writes nowhere
        (f"retries: 1{':1' * 200_000}", "6:12: not YAML: too long for a number; if it is meant as text, put"),
        (f"env: {{A: 1{':1' * 200_000}.5}}", "6:12: not YAML: too long for a number"),
        (f"files: [{{path: /a, mode: 0x{'f' * 6000}}}]", "6:28: not YAML: too long for a number"),
        ("user: !!python/name:os.system", "6:9: not YAML: could not determine a constructor for the tag"),
        ("readiness: {log: {pattern: '('}}", "6:30: spec.readiness.log.pattern: not a regular expression"),
        (
            "readiness: {log: {pattern: 'a(?=b)'}}",
            "not a regular expression in RE2's syntax: invalid perl operator: (?=",
        ),
    ],
)
def test_what_is_wrong_and_where(spec: str, problem: str) -> None:
    assert [found for found in problems(workload(spec)) if problem in found]


@pytest.mark.parametrize(
    "image",
    [
        "''", "' '", "a b", "UPPER/Case", "'busybox:'", "'busybox:1:2'", "http://x/y", "a//b", "-a", "x:ünï",
        "busybox@sha256:abc", r'"busybox\n"', "busybox:" + 129 * "x",
    ],
)  # fmt: skip
def test_no_image(image: str) -> None:
    (found,) = problems(HEAD.replace("image: busybox", f"image: {image}").encode())
    assert "spec.image: expected an image such as quay.io/prometheus/prometheus:v3.5.0" in found


@pytest.mark.parametrize(
    "image",
    [
        "busybox", "busybox:1.36", "docker.io/library/busybox:1.36", "localhost:5000/a/b_c:x-1", "a__b/c--d",
        "quay.io/x/y@sha256:" + 64 * "a", "sha256:" + 64 * "a", "'[::1]:5000/a'", "e2e-build/env.web:0a-0b",
        "Registry.local/a",
    ],
)  # fmt: skip
def test_images(image: str) -> None:
    assert problems(HEAD.replace("image: busybox", f"image: {image}").encode()) == []


def test_a_long_image_is_refused_at_once() -> None:
    (found,) = problems(HEAD.replace("image: busybox", f"image: {10**6 * 'a'}!").encode())
    assert "5:10: spec.image: expected at most 512 characters, not 1000001" in found


def test_a_build_is_not_pulled() -> None:
    built = HEAD.replace("image: busybox", "build: {context: .}")
    (found,) = problems(built.encode() + b"  imagePullPolicy: Never\n")
    assert "6:20: spec.imagePullPolicy: has no effect with build: it is built, not pulled; leave" in found


def test_labels_of_our_own_cannot_be_given() -> None:
    named = HEAD.replace("metadata: {name: web}", "metadata: {name: web, labels: {io.e2e.attempt: x}}")
    (found,) = problems(named.encode())
    assert "labels that begin with io.e2e. are the controller's own: take another name" in found


def test_volumes_of_an_environment_have_different_targets() -> None:
    text = "apiVersion: e2e/v1\nkind: Environment\nmetadata: {name: a}\nspec:\n"
    (found,) = problems((text + "  volumes: [{source: a, target: /d}, {source: b, target: /d/}]").encode())
    assert "5:38: spec.volumes.1: /d stands there twice" in found


def test_characters_that_json_writes_as_two_escapes() -> None:
    document = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "a"}}
    spec = {"image": "x", "env": {"A": "😀😀", "B": r"\ud83d\ude00"}}
    (found,) = parse_documents(json.dumps(document | {"spec": spec}).encode())
    assert isinstance(found.manifest, Workload)
    assert found.manifest.spec.env == spec["env"]
    (found,) = parse_documents(HEAD.encode() + rb"  user: \ud83d\ude00")
    assert isinstance(found.manifest, Workload)
    assert found.manifest.spec.user == r"\ud83d\ude00"


def test_a_pattern_that_nests_deep_does_no_harm() -> None:
    pattern = "(" * 2000 + ")" * 2000
    assert problems(workload(f"readiness: {{log: {{pattern: '{pattern}'}}}}")) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Workload", "1:1: apiVersion: expected e2e/v1"),
        ("apiVersion: v1\nkind: Workload", "1:13: apiVersion: expected e2e/v1, not 'v1'"),
        ("apiVersion: e2e/v1\nmetadata: {}", "1:1: kind: expected Workload, Job or Environment"),
        (
            "apiVersion: e2e/v1\nkind: workload",
            "2:7: kind: expected Workload, Job or Environment, not 'workload'; did",
        ),
        (
            "apiVersion: e2e/v1\nkind: [Workload]",
            "2:7: kind: expected Workload, Job or Environment, not ['Workload']",
        ),
        (
            "apiVersion: e2e/v1\nkind: Job\nmetadata: {name: a}\nspec: {image: x, restartPolicy: Never}",
            "4:18: spec.restartPolicy: unknown field of this kind; known to Workload; known are im",
        ),
        ("apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: a}", "1:1: spec: missing; it is required"),
        (
            "apiVersion: e2e/v1\nkind: Workload\nmetadata: x\nspec: {image: x}",
            "3:11: metadata: expected a mapping",
        ),
        (
            "apiVersion: e2e/v1\nkind: Workload\nmetadata: {}\nspec: {image: x}",
            "3:11: metadata.name: missing",
        ),
        (
            "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: Web}\nspec: {image: x}",
            "3:18: metadata.name: expected a lowercase DNS label: letters, digits and '-', at most 63",
        ),
        (
            "apiVersion: e2e/v1\nkind: Environment\nmetadata: {name: a, environment: b}",
            "3:34: metadata.environment: leave it out, an Environment is its own",
        ),
        ("- a\n- b", "1:1: expected a mapping with apiVersion, kind, ..."),
        ("just text", "1:1: expected a mapping with apiVersion, kind, ..."),
        ("!!set {apiVersion, kind}", "1:1: expected a mapping with apiVersion, kind, ..."),
        ("!!str {=: b}", "1:1: expected a mapping with apiVersion, kind, ..."),
        ("? [a]\n: b", "1:3: not YAML: a key must be plain text"),
    ],
)
def test_the_envelope(text: str, problem: str) -> None:
    (found,) = problems(text.encode())
    assert problem in found


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a: [1, 2", "not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        (b"a: 1\n b: 2", "2:3: not YAML: mapping values are not allowed in this context"),
        (
            b"a:\n\tb: 1",
            "2:1: not YAML: while scanning for the next token, found character that cannot start",
        ),
        (b"a:\n\tb: 1", "; indent with spaces, not tabs"),
        (b"a: *b", "1:4: not YAML: found undefined alias"),
        (b"a: '\xc3\xa4'\nb: \xff", "2:4: not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: not UTF-8 text; save the file as UTF-8"),
        (b"a: \0", "not a text file: it has a NUL byte"),
        ("ä: 1\nb: ä\x01".encode(), "2:5: not YAML: control characters are not allowed (character 0x1)"),
        (b"a: 'x", "not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        (b"#" * (MAX_BYTES + 1), f"the file has {MAX_BYTES + 1} bytes; at most {MAX_BYTES} are read"),
        (b"[" * 100, "1:51: more than 50 levels"),
        (b"- x\n" * 200_001, "200000:3: more than 200000 values"),
        (b"---\n" * 5_002, "5001:1: more than 5000 documents"),
        (b"a: &a [*a]", "more than 200000 values once the aliases are expanded"),
        (b"%YAML 9.0\n--- {}", "not YAML: found incompatible YAML document"),
    ],
)
def test_the_file_as_a_whole(data: bytes, problem: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_documents(data)
    assert problem in str(caught.value.problem)


def test_yaml_bombs() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    with pytest.raises(UnreadableError, match="once the aliases are expanded"):
        parse_documents("\n".join(lines).encode())
    lines = ["a0: &a0 {x: y}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 20)]
    with pytest.raises(UnreadableError, match="once the aliases are expanded"):
        parse_documents("\n".join(lines).encode())


def test_anchors_and_merges_that_are_meant_well() -> None:
    other = HEAD.replace("busybox", "&i busybox") + "  user: *i\n"
    assert not problems(f"{HEAD}---\n{other}".encode())
    merged = "ports: &p {a: 80}\nreadiness: {tcp: {port: a}}\nresources: {<<: {cpus: 1}, memory: 1Gi}"
    assert not problems(workload(merged))


def test_documents_stand_for_themselves() -> None:
    text = f"# comment\n---\n---\n{HEAD}---\nnull\n---\n{HEAD}  nope: 1\n---\n"
    text += "kind: Workload\nmetadata: {name: c}\n"
    first, second, third = parse_documents(text.encode())
    assert (first.line, first.problems) == (4, ())
    assert (second.line, second.kind, second.name, second.manifest) == (12, "Workload", "web", None)
    assert str(second.problems[0]).startswith("17:3: spec.nope: unknown field")
    assert (third.kind, third.name) == ("Workload", "c")


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n", b"---\n", b"--- null\n...\n", b"\xef\xbb\xbf"])
def test_nothing(data: bytes) -> None:
    assert parse_documents(data) == ()


def test_json_and_bom_and_line_ends() -> None:
    head = '{"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "a"}'
    json = head + ', "spec": {"image": "a", "user": "\\u00e4"}}'
    assert not problems(json.encode())
    assert not problems(b"\xef\xbb\xbf" + HEAD.encode())
    assert not problems(HEAD.replace("\n", "\r\n").encode())


@pytest.mark.parametrize("content", ["\U0001f600", "\\\U0001f600", "\\ud83d\\ude00", "\U0010ffff\U00010000"])
def test_json_may_write_any_character_in_ascii(content: str) -> None:
    manifest = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "web"}}
    spec = {"image": "x", "files": [{"path": "/a", "content": content}]}
    (document,) = parse_documents(json.dumps(manifest | {"spec": spec}).encode())
    assert isinstance(document.manifest, Workload)
    assert document.manifest.spec.files[0].content == content


def test_all_problems_of_a_document_are_told() -> None:
    found = problems(workload("comand: []\nports: {http: 0}\nuser: 5\nstop: {signal: x}"))
    assert sorted(problem.split(":")[0] for problem in found) == ["6", "7", "8", "9"]


def test_a_document_is_known_by_name_whatever_is_wrong_with_it() -> None:
    for spec in ("nope: 1", "env: {A: '1', A: '2'}", "env: {A: 2024-13-45}", "user: !!foo x"):
        (document,) = parse_documents(workload(spec))
        assert document.problems
        assert (document.kind, document.name) == ("Workload", "web")


TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
SNIPPETS = st.sampled_from(
    [
        *(
            "a: b\n",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "!!int ",
            "!!timestamp ",
            "!!bool ",
            "!!float ",
            "? ",
        ),
        *(
            "<<: ",
            "---\n",
            "...\n",
            "'",
            '"',
            "\\",
            "|\n  x\n",
            ">-\n",
            "%YAML 1.1\n",
            "\t",
            "  ",
            "#",
            "0x",
            "1:30",
        ),
        *(
            "2024-99-99",
            "~",
            "=",
            "!!binary x",
            "!!set ",
            "!!omap ",
            "apiVersion: e2e/v1\n",
            "kind: Workload\n",
        ),
        *(
            "metadata: {name: a}\n",
            "spec:\n",
            "  image: x\n",
            "  ports: {a: 1}\n",
            "\x85",
            "\u2028",
            "\ufeff",
            ": ",
        ),
    ]
)


@settings(deadline=None)
@given(
    st.one_of(st.binary(max_size=300), TEXT.map(str.encode), st.lists(SNIPPETS).map("".join).map(str.encode))
)
@example(b"a: !!int ''")
@example(b"a: " + b"9" * 5000)
@example(b"!!str {a: b}")
def test_nothing_but_unreadable_error_is_raised(data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        documents = parse_documents(data)
        assert all(document.problems or document.manifest for document in documents)
        assert all(problem.line >= 1 <= problem.column for found in documents for problem in found.problems)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.dates())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
FIELDS = st.sampled_from(
    [
        *("image", "build", "env", "ports", "files", "volumes", "readiness", "metrics", "resources"),
        *("security", "stop", "command", "state", "dependsOn", "x"),
    ]
)


@settings(deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=4), VALUES)
def test_any_value_anywhere(spec: dict[str, object], metadata: object) -> None:
    for document in (
        {"metadata": {"name": "a"}, "spec": spec},
        {"metadata": metadata, "spec": {"image": "x"}},
        {
            "metadata": {"name": "a"},
            "spec": {"image": "x", "readiness": spec, "files": [spec], "ports": {"a": spec}},
        },
    ):
        text = yaml.safe_dump({"apiVersion": "e2e/v1", "kind": "Workload", **document})
        for found in parse_documents(text.encode()):
            assert isinstance(found, Document)
            assert bool(found.problems) != bool(found.manifest)
            assert all(problem.line and problem.column for problem in found.problems)


def test_positions_do_not_depend_on_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    data = workload("comand: []\nports: {http: 0}\nenv: {A: 1}")
    with_c = problems(data)
    monkeypatch.setattr(yaml_nodes, "_Loader", yaml.SafeLoader)
    assert problems(data) == with_c


@pytest.mark.parametrize(
    "fields",
    [
        "env: [DB_PASSWORD=geheim-12]",
        "env: DB_PASSWORD=geheim-12",
        "env: {PIN: 83746552}",
        "build: {args: {NPM_TOKEN: 83746552}}",
        "build: {args: [NPM_TOKEN=geheim-12]}",
        "readiness: {http: {port: http, headers: {Authorization: 83746552}}}",
        'readiness: {http: {port: http, headers: {Authorization: "geheim-12\\n"}}}',
        "readiness: {http: {port: http, headers: [geheim-12]}}",
    ],
)
def test_errors_tell_no_values_of_what_may_be_secret(fields: str) -> None:
    (document,) = parse_documents(f"{HEAD}{textwrap.indent(fields, '  ')}\n  ports: {{http: 80}}\n".encode())
    told = "\n".join(map(str, document.problems))
    assert ": expected " in told
    assert "geheim" not in told
    assert "83746552" not in told
