import ast
import subprocess
import sys
from pathlib import Path

import pytest

import e2e


def test_the_stub_and_the_package_offer_the_same_names() -> None:
    tree = ast.parse(Path(e2e.__file__).with_suffix(".pyi").read_text())
    imports = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    listed = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert imports == e2e._HOME_OF
    assert sorted(imports) == sorted(listed) == e2e.__all__


def test_every_name_is_there() -> None:
    for name in e2e.__all__:
        assert getattr(e2e, name) is not None
    assert set(e2e.__all__) <= set(dir(e2e))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'e2e' has no attribute 'Enviroment'"):
        e2e.Enviroment  # noqa: B018


@pytest.mark.parametrize("module", ["e2e", "e2e.testing.pytest_plugin"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    script = (
        f"import sys, pytest; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"grpc", "pydantic", "google.protobuf", "asyncio"} & set(found.stdout.split())


def test_what_only_some_need_is_not_loaded_for_all() -> None:
    code = (
        "import sys, e2e\n"
        "for name in e2e.__all__: getattr(e2e, name)\n"
        "print(*({'httpx', 'prometheus_client', 'altair', 'pandas', 'aiohttp', 'docker'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
