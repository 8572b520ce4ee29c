"""Where secrets come from, in a manifest; no error tells one."""

import pytest

from e2e_api.manifests import Secret, ValueFrom, Workload, to_document
from e2e_api.parsing import parse_documents

MANIFEST = """\
apiVersion: e2e/v1
kind: Workload
metadata: {name: web}
spec:
  image: busybox
  %s
"""
SOURCES = {"file": "a/b", "variable": "E2E_SECRET_DB", "value": "geheim-1"}


def parsed(fields: str) -> tuple[Workload | None, list[str]]:
    (document,) = parse_documents((MANIFEST % fields).encode())
    manifest = document.manifest
    assert manifest is None or isinstance(manifest, Workload)
    return manifest, [str(problem) for problem in document.problems]


@pytest.mark.parametrize("source", SOURCES)
def test_what_can_be_said(source: str) -> None:
    given = f"{{{source}: {SOURCES[source]}}}"
    fields = f"env: {{A: b, C: {{valueFrom: {given}}}}}\n  secretFiles: [{{path: /run/c, from: {given}}}]"
    manifest, problems = parsed(fields)
    assert manifest is not None, problems
    secret = Secret.model_validate({source: SOURCES[source]})
    assert manifest.spec.env == {"A": "b", "C": ValueFrom(value_from=secret)}
    assert manifest.spec.secrets == (secret,)
    assert manifest.spec.secret_files[0].mode == 0o400
    assert Workload.model_validate(to_document(manifest)) == manifest
    assert "geheim" not in repr(manifest)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("env: {A: 12345678}", "spec.env.A: expected text; if it is meant as text"),
        ("env: {A: [geheim]}", "spec.env.A: expected text; if it is meant as text"),
        (
            "env: {A: {valueFrom: geheim}}",
            "A.valueFrom: expected a mapping with file",
        ),
        (
            "env: {A: {value_from: {file: x}}}",
            "unknown field; did you mean valueFrom?",
        ),
        (
            "env: {A: {valueFrom: {}}}",
            "A.valueFrom: expected exactly one of",
        ),
        (
            "env: {A: {valueFrom: {value: geheim, file: x}}}",
            "expected exactly one of file",
        ),
        (
            "env: {A: {valueFrom: {value: 12345678}}}",
            "valueFrom.value: expected text; if it is",
        ),
        ('env: {A: {valueFrom: {value: "geheim\\0"}}}', "a NUL character"),
        (
            "env: {A: {valueFrom: {variable: HOME}}}",
            "whose name begins with E2E_SECRET_",
        ),
        ("env: {A: {valueFrom: {fil: geheim}}}", "unknown field; did you mean file?"),
        ("secretFiles: [{path: /a, from: geheim}]", "secretFiles.0.from: expected a mapping with file"),
        ("secretFiles: [{path: /a}]", "spec.secretFiles.0.from: missing"),
        ("secretFiles: [{path: a, from: {file: x}}]", "secretFiles.0.path: expected an absolute path"),
        ("secretFiles: [{path: /proc/a, from: {file: x}}]", "would not be seen"),
        ("secretFiles: [{path: /a, from: {file: x}, mode: 400}]", "write 0400 in YAML"),
        ("secretFiles: [{path: /a, from: {file: x}, uid: -1}]", "secretFiles.0.uid: expected"),
        (
            "secretFiles: [{path: /a, from: {file: x}}, {path: /a/b, from: {file: x}}]",
            "spec.secretFiles.1.path: /a is a file, too",
        ),
        (
            "secretFiles: [{path: /a, from: {file: x}}]\n  files: [{path: //a, content: x}]",
            "spec.secretFiles.0.path: /a stands in files, too",
        ),
        (
            "secretFiles: [{path: /a/b, from: {file: x}}]\n"
            "  volumes: [{source: v, target: /a, readOnly: true}]",
            "spec.secretFiles.0.path: the volume at /a is readOnly",
        ),
    ],
)
def test_what_is_wrong_is_told_and_no_secret(fields: str, problem: str) -> None:
    manifest, problems = parsed(fields)
    assert manifest is None
    text = "\n".join(problems)
    assert problem in text
    assert "geheim" not in text
    assert "12345678" not in text
