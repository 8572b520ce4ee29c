"""Certificates of `e2e certs`, and its tokens: made, kept, renewed; what is somebody else's stays."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from e2e import certificates
from e2e.cli.program import run
from e2e_api.errors import E2EError, InvalidArgument

NAMES = ["ca", "server", "client"]


def make(folder: Path, *hosts: str, days: int = 30, later: timedelta = timedelta()) -> dict[str, bool]:
    """Whether each was kept."""
    now = datetime.now(UTC) + later
    made = certificates.make(folder, hosts or ("localhost",), client="ci", days=days, now=now)
    return {one.path.stem: one.kept for one in made}


def read(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_private_keys_are_the_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "certs"
    assert make(folder) == dict.fromkeys(NAMES, False)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {f"{n}.crt": 0o644 for n in NAMES} | {f"{n}.key": 0o600 for n in NAMES}


def test_they_are_valid_for_what_they_are_for(tmp_path: Path) -> None:
    make(tmp_path, "ci.example", "*.ci.example", "my_service", "127.0.0.1", "[::1]", days=7)
    server, authority = read(tmp_path, "server"), read(tmp_path, "ca")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ci.example", "*.ci.example", "my_service"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert timedelta(days=6) < server.not_valid_after_utc - datetime.now(UTC) < timedelta(days=8)
    assert authority.not_valid_after_utc > server.not_valid_after_utc + timedelta(days=60)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")


def test_what_is_good_is_kept_and_what_ends_soon_renewed(tmp_path: Path) -> None:
    make(tmp_path)
    before = read(tmp_path, "ca")
    assert make(tmp_path) == dict.fromkeys(NAMES, True)
    assert make(tmp_path, "localhost", "other") == {"ca": True, "server": False, "client": True}
    assert make(tmp_path, "localhost", "other") == dict.fromkeys(NAMES, True)
    soon = timedelta(days=21)
    assert make(tmp_path, "localhost", "other", later=soon) == {"ca": True, "server": False, "client": False}
    assert read(tmp_path, "ca") == before
    read(tmp_path, "server").verify_directly_issued_by(before)
    assert make(tmp_path, "localhost", "other", later=timedelta(days=340)) == dict.fromkeys(NAMES, False)


def test_what_another_ca_signed_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    for suffix in ("crt", "key"):
        (tmp_path / "a" / f"ca.{suffix}").write_bytes((tmp_path / "b" / f"ca.{suffix}").read_bytes())
    assert make(tmp_path / "a") == {"ca": True, "server": False, "client": False}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("server.crt", "my own", "somebody|Unable|valid|PEM|error"),
        ("ca.key", "my own", "Could not|Unable|valid|PEM"),
        ("client.key", None, "client.key is not beside it"),
    ],
)
def test_somebody_elses_files_stay(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    make(tmp_path)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(E2EError, match=rf"is in the way, and stays as it is: .*({why})"):
        make(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_certificate_of_another_maker_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MAKER", "somebody")
    make(tmp_path)
    monkeypatch.undo()
    with pytest.raises(E2EError, match="somebody else has made it"):
        make(tmp_path)


@pytest.mark.parametrize("host", ["", "a b", "-", "http://a", "a/b", "ü", "a..b"])
def test_what_is_no_host_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidArgument, match="is no name or address of a host"):
        make(tmp_path, "localhost", host)


def test_the_commands_say_what_to_do_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, token = tmp_path / "c e r t s", tmp_path / "token"
    assert run(["certs", str(folder), "--host", "ci.example"]) == 0
    told = capsys.readouterr()
    assert f"export E2E_CA_FILE='{folder}/ca.crt'" in told.out or f"E2E_CA_FILE='{folder}'/ca.crt" in told.out
    assert f"{folder}/server.crt: new, valid until" in told.err
    assert run(["token", str(token)]) == 0
    text = token.read_text().strip()
    assert len(text) >= 43
    assert token.stat().st_mode & 0o777 == 0o600
    told = capsys.readouterr()
    assert text not in told.out + told.err
    assert run(["token", str(token)]) == 0
    assert token.read_text().strip() == text
    assert run(["certs", str(tmp_path / "token" / "x")]) == 1
    assert "cannot make" in capsys.readouterr().err
