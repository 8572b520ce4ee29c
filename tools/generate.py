"""Writes all generated files: protobuf code, the JSON Schemas, the synchronous SDK, the locks.

`--check` writes nothing and fails, naming the files, when what is committed differs.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import unasync
from setup.requirements import subset

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SCHEMA_COMMENT = "# yaml-language-server: $schema=../../../proto/manifest.schema.json"
SYNC_NAMES = {
    "AsyncEnvironment": "Environment",
    "AsyncWorkload": "Workload",
    "AsyncHandle": "Handle",
    "AsyncJob": "Job",
    "AsyncInstrumented": "Instrumented",
    "AsyncInstrumentedTogether": "InstrumentedTogether",
    "AsyncMetricSums": "MetricSums",
    "AsyncSession": "Session",
    "AsyncClient": "Client",
    "AsyncTransport": "Transport",
    "AsyncHeld": "Held",
    "AsyncFlag": "Flag",
    "AsyncEnding": "Ending",
    "AsyncInteractive": "Interactive",
    "AsyncOverview": "Overview",
    "AsyncBackground": "Background",
    "AsyncLease": "Lease",
    "AsyncProfiled": "Profiled",
    "AsyncProfiling": "Profiling",
    "AsyncTraces": "Traces",
    "AsyncCompanion": "Companion",
    "AsyncMeasuredPhase": "MeasuredPhase",
    "AsyncMonitoring": "Monitoring",
    "AsyncQueries": "Queries",
    "aiter_bytes": "iter_bytes",
    "AsyncLiveWorkload": "LiveWorkload",
    "AsyncPrometheus": "Prometheus",
    "AsyncStaticMetrics": "StaticMetrics",
    "aio": "_sync",
}
SYNC_BY_HAND = ("_transport.py", "__init__.py")
SYNC_PACKAGE = '''"""The synchronous client: generated from `e2e.aio`, but for `_transport`."""

from e2e._sync.client import Client
from e2e._sync.environment import Environment
from e2e._sync.job import Job
from e2e._sync.queries import Queries
from e2e._sync.traces import Traces
from e2e._sync.workload import Workload

__all__ = ["Client", "Environment", "Job", "Queries", "Traces", "Workload"]
'''
SYNC_SYSTEMS = '''"""Systems with verbs of their own, synchronous: generated from `e2edb.aio`."""

from e2edb._sync.systems import Prometheus, StaticMetrics

__all__ = ["Prometheus", "StaticMetrics"]
'''
SYNC_DOCSTRINGS = {
    r"\bAsync(?=[A-Z][a-z]+\b)": "",
    r"\b(async|await) ": "",
    r"\b(e2e|e2edb)\.aio\b": r"\1._sync",
}


def protobuf_code(out: Path) -> None:
    """Compiles the .proto files; their Python lives in `e2e_api`, as `e2e` is the SDK's name."""
    sources = sorted(str(p.relative_to(PROTO)) for p in (PROTO / "e2e/v1").glob("*.proto"))
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
        command += [f"--plugin={binaries / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
        command += [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        subprocess.run(command + sources, check=True)
        for generated in sorted(Path(scratch, "e2e/v1").iterdir()):
            text = generated.read_text().replace("from e2e.v1 import", "from e2e_api.v1 import")
            (out / generated.name).write_text(
                text.replace("e2e.v1.", "e2e_api.v1.") if is_stub(generated) else text
            )


def is_stub(path: Path) -> bool:
    """Whether the file only has types."""
    return path.suffix == ".pyi"


def json_schema(out: Path) -> None:
    """Writes the schema that editors check manifests with."""
    from e2e_api.manifests import json_schema

    text = json.dumps(json_schema(), indent=2, sort_keys=True)
    (out / "manifest.schema.json").write_text(text + "\n")


def policy_schema(out: Path) -> None:
    """Writes the schema that editors check policies with."""
    from e2e_controller.policy.model import json_schema

    (out / "policy.schema.json").write_text(json.dumps(json_schema(), indent=2, sort_keys=True) + "\n")


def schemas(out: Path) -> None:
    """Both."""
    json_schema(out)
    policy_schema(out)


def sync_sdk(out: Path) -> None:
    """Turns the asynchronous client into the synchronous one; `_transport.py` is written twice by hand."""
    sync_twin(ROOT / "sdk/e2e/aio", out, SYNC_PACKAGE)


def sync_systems(out: Path) -> None:
    """Turns the asynchronous systems that have verbs of their own into synchronous ones."""
    sync_twin(ROOT / "e2edb/aio", out, SYNC_SYSTEMS)


def sync_twin(source: Path, out: Path, package: str) -> None:
    """Turns each asynchronous module into a synchronous one of the same name; `package` is `__init__.py`."""
    rule = unasync.Rule(fromdir=f"{source}/", todir=f"{out}/", additional_replacements=SYNC_NAMES)
    files = sorted(source.glob("*.py"))
    unasync.unasync_files([str(path) for path in files if path.name not in SYNC_BY_HAND], [rule])
    (out / "__init__.py").write_text(package)
    for path in sorted(out.glob("*.py")):
        text = path.read_text()
        for pattern, replacement in SYNC_DOCSTRINGS.items():
            text = re.sub(pattern, replacement, text)
        path.write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["-q", "--config", str(ROOT / "pyproject.toml"), str(out)]
    first_party = [
        "--config",
        "lint.isort.known-first-party=['e2e', 'e2edb']",
    ]  # as it is found to be in its place
    subprocess.run(
        [*ruff, "check", "--fix", "--select", "I,RUF100,F401", *first_party, *settings], check=True
    )
    subprocess.run([*ruff, "format", *settings], check=True)


def standalone_manifests(out: Path) -> None:
    """Writes the interactive example as manifests, one a file."""
    import e2e
    import e2edb

    sys.path.insert(0, str(ROOT / "examples" / "thanos"))
    from standalone import define  # type: ignore[import-not-found]

    blueprint = e2e.Blueprint()
    define(blueprint)
    e2edb.monitoring(blueprint)
    documents = re.split(r"^---\n", blueprint.to_yaml(), flags=re.MULTILINE)
    for manifest, document in zip(blueprint.manifests, documents, strict=True):
        (out / f"{manifest.metadata.name}.yaml").write_text(f"{SCHEMA_COMMENT}\n{document}")


def image_locks(out: Path) -> None:
    """Writes what the image is made of, and what makes it, as parts of requirements.lock."""
    lock = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = {
        "runtime": project["project"]["dependencies"],
        "build": [*project["build-system"]["requires"], "pip"],
    }
    for name, roots in parts.items():
        (out / f"{name}.lock").write_text(subset(lock, roots))


TARGETS = {
    "image": image_locks,
    "examples/manifests/standalone": standalone_manifests,
    "proto/e2e_api/v1": protobuf_code,
    "proto": schemas,
    "sdk/e2e/_sync": sync_sdk,
    "e2edb/_sync": sync_systems,
}


def main() -> int:
    """Writes or compares everything; gives the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="compare only")
    check = arguments.parse_args().check
    stale = []
    for target, write in TARGETS.items():
        with tempfile.TemporaryDirectory() as scratch:
            write(Path(scratch))
            for new in sorted(Path(scratch).iterdir()):
                committed = ROOT / target / new.name
                if committed.exists() and committed.read_bytes() == new.read_bytes():
                    continue
                stale.append(str(committed.relative_to(ROOT)))
                if not check:
                    committed.parent.mkdir(parents=True, exist_ok=True)
                    committed.write_bytes(new.read_bytes())
    verb = "out of date, run `make generate`" if check else "written"
    for path in stale:
        print(f"{path}: {verb}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
