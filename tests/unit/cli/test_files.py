import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from e2e.cli.files import batches, read_manifests
from e2e.cli.keys import Key
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import Workload, to_document
from e2e_api.parsing import parse_documents


def manifest(name: str, environment: str = "", spec: str = "{image: img}") -> str:
    named = f", environment: {environment}" if environment else ""
    return f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: {name}{named}}}\nspec: {spec}\n"


def keys(*paths: Path, environment: str | None = None) -> list[Key]:
    return [found.key for found in read_manifests([str(path) for path in paths], environment)]


def test_the_environment_is_the_manifests_own_the_options_the_folders_or_the_default(tmp_path: Path) -> None:
    folder = tmp_path / "thanos" / "deep"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(manifest("own", "mine"))
    (folder / "folders.yaml").write_text(manifest("folders"))
    (tmp_path / "top.yaml").write_text(manifest("top"))
    assert sorted(keys(tmp_path)) == [
        Key("default", "Workload", "top"),
        Key("mine", "Workload", "own"),
        Key("thanos", "Workload", "folders"),
    ]
    assert {key.environment for key in keys(tmp_path, environment="given")} == {"given", "mine"}
    assert keys(folder / "folders.yaml") == [Key("default", "Workload", "folders")]


def test_a_folder_whose_name_is_no_label_names_no_environment(tmp_path: Path) -> None:
    (tmp_path / "Not_A_Label").mkdir()
    (tmp_path / "Not_A_Label" / "a.yml").write_text(manifest("a"))
    assert keys(tmp_path) == [Key("default", "Workload", "a")]


def test_an_environment_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("apiVersion: e2e/v1\nkind: Environment\nmetadata: {name: big}\n")
    (found,) = read_manifests([str(path)], "other")
    assert found.key == Key("big", "Environment", "big")
    assert to_document(found.manifest)["metadata"] == {"name": "big"}


def test_only_what_a_controller_would_read_is_read(tmp_path: Path) -> None:
    for name in (".hidden.yaml", "~a.yaml", "#a.yaml", "a.yaml~", "note.txt", ".git/a.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(manifest("wrong"))
    (tmp_path / "a.json").write_text(
        '{"apiVersion": "e2e/v1", "kind": "Environment", "metadata": {"name": "a"}}'
    )
    (tmp_path / "b.YML").write_text(manifest("b"))
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(key.name for key in keys(tmp_path)) == ["a", "b"]


def test_relative_host_paths_count_from_the_manifests_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    spec = (
        "{build: {context: ../image}, volumes: [{source: ./data, target: /a}, {source: named, target: /b}, "
        "{source: /abs/x, target: /c}, {source: .., target: /d}]}"
    )
    (folder / "m.yaml").write_text(manifest("m", spec=spec))
    (found,) = read_manifests(["sub"], "given")
    assert isinstance(found.manifest, Workload)
    assert found.manifest.spec.build is not None
    assert found.manifest.spec.build.context == str(tmp_path / "image")
    sources = [volume.source for volume in found.manifest.spec.volumes]
    assert sources == [str(folder / "data"), "named", "/abs/x", str(tmp_path)]


def test_what_is_sent_is_what_was_written_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(manifest("m", spec="{image: img, stop: {gracePeriod: 1m30s}}"))
    (text,) = batches(read_manifests([str(tmp_path)], "given"))
    (document,) = parse_documents(text.encode())
    assert document.manifest is not None
    assert to_document(document.manifest) == {
        "apiVersion": "e2e/v1",
        "kind": "Workload",
        "metadata": {"name": "m", "environment": "given"},
        "spec": {"image": "img", "stop": {"gracePeriod": "1m30s"}},
    }


def test_every_mistake_of_every_file_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "field.yaml").write_text(manifest("a", spec="{imagee: img}"))
    (tmp_path / "yaml.yaml").write_text("a: [1\nb: }")
    (tmp_path / "binary.yaml").write_bytes(b"ok: 1\n\xff\xfe")
    (tmp_path / "twice.yaml").write_text(f"{manifest('t')}---\n{manifest('t')}")
    (tmp_path / "good.yaml").write_text(manifest("good"))
    missing = tmp_path / "missing.yaml"
    with pytest.raises(InvalidArgument) as caught:
        read_manifests([str(tmp_path), str(missing)], None)
    lines = str(caught.value).splitlines()
    told = {Path(line.partition(":")[0]).name: line for line in lines if line.startswith(str(tmp_path))}
    assert told["field.yaml"].startswith(
        f"{tmp_path}/field.yaml:4:8: spec.imagee: unknown field; did you mean image?"
    )
    assert told["yaml.yaml"].startswith(f"{tmp_path}/yaml.yaml:2:")
    assert told["binary.yaml"] == f"{tmp_path}/binary.yaml:2:1: not UTF-8 text; save the file as UTF-8"
    assert told["twice.yaml"] == (
        f"{tmp_path}/twice.yaml:6: default/Workload/t stands in {tmp_path}/twice.yaml:1 already"
    )
    assert told["missing.yaml"] == f"{missing}: No such file or directory"
    assert "good.yaml" not in told


def test_no_manifest_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no manifest"):
        read_manifests([str(tmp_path)], None)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").symlink_to("nowhere")
    with pytest.raises(InvalidArgument, match=r"m\.yaml: No such file"):
        read_manifests([str(tmp_path)], None)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = manifest("piped", spec="{image: img, volumes: [{source: ./x, target: /x}]}")
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))
    (found,) = read_manifests(["-"], None)
    assert isinstance(found.manifest, Workload)
    assert (found.key.name, found.place) == ("piped", "standard input:1")
    assert found.manifest.spec.volumes[0].source == str(tmp_path / "x")


def test_many_manifests_travel_in_requests_that_the_controller_takes(tmp_path: Path) -> None:
    spec = "{image: img, env: {BIG: " + "x" * 100_000 + "}}"
    (tmp_path / "all.yaml").write_text(
        "---\n".join(manifest(f"m{number}", spec=spec) for number in range(25))
    )
    texts = list(batches(read_manifests([str(tmp_path)], None)))
    assert len(texts) == 2
    assert max(map(len, texts)) <= 2 * 2**20
    assert sum(len(parse_documents(text.encode())) for text in texts) == 25
