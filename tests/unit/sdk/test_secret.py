"""Secrets in options: they become what manifests point to, and nothing prints them."""

from pathlib import Path

import pytest

import e2e
from e2e.specs import changed_manifest, new_job, new_manifest, to_documents
from e2e_api.manifests import SecretFile, ValueFrom

VALUE = "geheim-17"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> e2e.Secret:
    monkeypatch.setenv("MY_PASSWORD", VALUE)
    return e2e.secret_from_env("MY_PASSWORD")


def test_variables_and_files_take_them(secret: e2e.Secret) -> None:
    manifest = new_manifest(
        "", "db", {"image": "x", "env": {"P": secret, "A": "b"}, "secret_files": {"/run/p": secret}}
    )
    assert manifest.spec.env == {"P": ValueFrom(value_from=secret), "A": "b"}
    assert manifest.spec.secret_files == (SecretFile.model_validate({"path": "/run/p", "from": secret}),)
    assert manifest.spec.secrets == (secret,)
    assert VALUE in to_documents([manifest])
    assert VALUE not in f"{manifest!r}{manifest}{secret!r}{secret}"


def test_jobs_too_and_files_with_a_mode(secret: e2e.Secret) -> None:
    file = e2e.SecretFile.model_validate({"path": "/p", "from": secret, "mode": 0o440, "uid": 7})
    assert new_job("", "j", {"image": "x", "secret_files": [file]}).spec.secret_files == (file,)
    assert e2e.SecretFile(path="/p", from_=secret, mode=0o440, uid=7) == file


def test_a_change_keeps_them(secret: e2e.Secret) -> None:
    manifest = new_manifest("", "db", {"image": "x", "env": {"P": secret}})
    changed = changed_manifest(manifest, {"image": "y"})
    assert changed.spec.env == manifest.spec.env


def test_a_file_is_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    assert e2e.secret_from_file(tmp_path / "token") == e2e.Secret(value="t\n")
    with pytest.raises(e2e.InvalidArgument, match=r"cannot read a secret from .*absent: No such file"):
        e2e.secret_from_file(tmp_path / "absent")
    (tmp_path / "token").write_bytes(b"\xff")
    with pytest.raises(e2e.InvalidArgument, match="no text in UTF-8"):
        e2e.secret_from_file(tmp_path / "token")


def test_what_cannot_be_is_said_without_the_value(secret: e2e.Secret) -> None:
    with pytest.raises(e2e.InvalidArgument, match="no variable NOT_THERE"):
        e2e.secret_from_env("NOT_THERE")
    with pytest.raises(e2e.InvalidArgument, match="path") as caught:
        new_manifest("", "db", {"image": "x", "secret_files": {"relative": secret}})
    assert VALUE not in str(caught.value)
    with pytest.raises(ValueError, match="exactly one of file, variable and value") as wrong:
        e2e.Secret(value=VALUE, file="x")
    assert VALUE not in str(wrong.value)


def test_a_blueprint_writes_down_where_they_are_and_never_what(secret: e2e.Secret) -> None:
    blueprint = e2e.Blueprint()
    blueprint.workload("db", image="x", env={"P": e2e.Secret(file="db-password")})
    assert "valueFrom:\n        file: db-password" in blueprint.to_yaml()
    with pytest.raises(e2e.InvalidArgument, match="db: a manifest that is kept holds no secret"):
        blueprint.workload("db", image="x", env={"P": secret})
    with pytest.raises(e2e.InvalidArgument, match="holds no secret"):
        blueprint.job("job", image="x", secret_files={"/p": secret})
    assert VALUE not in blueprint.to_yaml()
