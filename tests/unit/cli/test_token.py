"""`e2e token`."""

import hashlib
import shlex
from pathlib import Path

import pytest

from .conftest import RunE2E


def test_a_token_is_made_once_and_kept(e2e: RunE2E, tmp_path: Path) -> None:
    file = tmp_path / "token"
    code, out, err = e2e("token", file)
    digest = hashlib.sha256(file.read_text().strip().encode()).hexdigest()
    assert (code, err) == (0, f"{file}: new\n")
    assert out == f"export E2E_TOKEN_FILE={shlex.quote(str(file))}\n# sha256: {digest}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert e2e("token", file) == (0, out, f"{file}: kept\n")


@pytest.mark.parametrize("text", ["", "short", "not a token, but somebody's notes"])
def test_what_is_no_token_is_not_told_of_as_one(e2e: RunE2E, tmp_path: Path, text: str) -> None:
    file = tmp_path / "notes"
    file.write_text(text)
    code, out, err = e2e("token", file)
    assert (code != 0, out) == (True, "")
    assert "is there already, and holds no token" in err
    assert file.read_text() == text
