"""The YAML file with settings, which `--config` or `E2E_CONFIG` names."""

import argparse
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import SettingsError

LONGEST = 2**20
"""Bytes."""


def find_settings_file(arguments: list[str], environment: Mapping[str, str]) -> Path | None:
    """The file, which must be known before the other settings are."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    given = parser.parse_known_args(arguments)[0].config or environment.get("E2E_CONFIG")
    return Path(given) if given else None


def read_settings_file(path: Path, known: Iterable[str]) -> dict[str, Any]:
    """The settings in the file, not validated yet. Raises `SettingsError`."""
    document = read_document(path, "--config")
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected settings such as `workers: 16`, not a {_kind(document)}")
    names = [name for name in known if name != "config"]
    for key in document:
        if key not in names:
            near = difflib.get_close_matches(str(key).replace("-", "_"), names, 1)
            hint = f"did you mean {near[0]}?" if near else "`e2e-controller --help` lists them, - as _ here"
            raise SettingsError(f"{path}: there is no setting {str(key)[:60]!r}; {hint}")
    return document


def read_document(path: Path, flag: str) -> Any:
    """What a file of YAML says, {} for one that is empty; `flag` names it. Raises `SettingsError`."""
    return _parse(path, _read(path, flag))


def _read(path: Path, flag: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise SettingsError(f"{path}: larger than {LONGEST // 2**20} MiB, so no file of settings")
        return data.decode()
    except OSError as error:
        raise SettingsError(f"{flag}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not a text in UTF-8") from error


def _parse(path: Path, text: str) -> Any:
    import yaml  # here: most controllers are given no file

    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise SettingsError(f"{path}{place}: not YAML: {error.problem}") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: not YAML: nested too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error
    return {} if document is None else document


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "list", str: "text"}
    return names.get(type(value), type(value).__name__)
