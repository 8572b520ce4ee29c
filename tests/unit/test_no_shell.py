"""No text from elsewhere becomes part of a shell's script: it is given as an argument, or a variable."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("controller", "sdk", "proto", "e2edb", "examples", "benchmarks", "tools")
SHELLS = ("sh", "bash", "dash", "ash", "busybox", "/bin/sh", "/bin/bash")
CALLS = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
CALLS += ("asyncio.create_subprocess_shell", "pty.spawn")


def findings(source: str) -> list[str]:
    """What is wrong with a module: its line, and why."""
    tree = ast.parse(source)
    return [f"{node.lineno}: {why}" for node in ast.walk(tree) for why in _wrong(node, tree)]  # type: ignore[attr-defined]


def _wrong(node: ast.AST, tree: ast.Module) -> Iterator[str]:
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) in CALLS:
            yield f"{ast.unparse(node.func)} is a shell"
        if any(keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in node.keywords):
            yield "shell="
    if isinstance(node, ast.List | ast.Tuple):
        for shell, option, script in zip(node.elts, node.elts[1:], node.elts[2:], strict=False):
            is_shell = _text(shell) in SHELLS and re.fullmatch("-[a-z]*c", _text(option) or "")
            if is_shell and not _is_constant(script, tree):
                yield f"the script {ast.unparse(script)} is put together"


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_constant(script: ast.expr, tree: ast.Module) -> bool:
    """Whether it is a text, or a name that is given to nothing but one."""
    if not isinstance(script, ast.Name):
        return _text(script) is not None
    given = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == script.id for target in node.targets)
    ]
    return bool(given) and all(_text(value) is not None for value in given)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_script_is_put_together(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    found = {str(path.relative_to(ROOT)): findings(path.read_text()) for path in modules}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "source",
    [
        'run(["sh", "-c", f"touch {path}"])',
        'run(["timeout", "5", "bash", "-ec", "touch " + path])',
        'script = f"touch {path}"\nrun(("sh", "-c", script, "sh"))',
        'def f(script):\n    return ["sh", "-c", script]',
        'subprocess.run("x", shell=True)',
        "subprocess.run(x, shell=yes)",
        'os.system("x")',
    ],
)
def test_what_would_be_found(source: str) -> None:
    assert len(findings(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        'run(["sh", "-c", \'touch "$1"\', "sh", path])',
        'script = \'touch "$1"\'\nrun(("sh", "-c", script, "sh", path))',
        'subprocess.run(["x", y], shell=False)',
    ],
)
def test_what_is_right(source: str) -> None:
    assert findings(source) == []
