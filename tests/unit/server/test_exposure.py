"""Settings and files that do not protect what is reached from elsewhere."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from e2e_controller.settings import Settings, describe
from e2e_controller.starting import StartError

from .conftest import Harness
from .transport import certs, guarded, listed, table


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"listen": ["0.0.0.0:0"]}, "can be reached from other machines: give --tls-cert"),
        ({"listen": ["127.0.0.1.example.com:1"]}, "can be reached from other machines"),
        ({"listen": ["[::]:0"], "token_file": "/t"}, "give --tls-cert and --tls-key, which"),
        ({"http": "0.0.0.0:0", "tls_cert": "/c", "tls_key": "/k"}, r"give a token \(--token-file"),
        ({"tls_cert": "/c"}, "--tls-cert and --tls-key belong together"),
        ({"tls_key": "/k"}, "--tls-cert and --tls-key belong together"),
        ({"tls_client_ca": "/c"}, "certificates of clients are for TLS"),
    ],
)
def test_what_does_not_protect_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Settings(**settings)
    assert re.search(message, describe(wrong.value))


async def test_beyond_loopback_needs_both_or_warns_at_each_start(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    listen = [f"unix://{harness.state}/controller.sock", "0.0.0.0:0"]
    folder = certs(harness)
    protected = {
        "tokens": table(harness),
        "tls_cert": folder / "server.crt",
        "tls_key": folder / "server.key",
    }
    async with harness.running(listen=listen, **protected):
        assert "can be reached" not in caplog.text
    for settings, missing in (
        ({}, "without TLS and without a token"),
        ({"tokens": table(harness)}, "without TLS: "),
    ):
        for _ in range(2):
            caplog.clear()
            async with harness.running(listen=listen, insecure=True, **settings):
                assert missing in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "there is no token in it"),
        ("", "Input should be a valid list"),
        (
            "- {name: a, token: 0123456789abcdef}\n- {name: a, token: 1123456789abcdef}",
            "two tokens are called a",
        ),
        (
            "- {name: a, token: 0123456789abcdef}\n- {name: b, token: 0123456789abcdef}",
            "twice, under two names",
        ),
        (
            "- {name: a, token: 0123456789abcdef, environments: []}",
            "0.environments: List should have at least 1",
        ),
        ("- {name: a, token: 0123456789abcdef, environments: ['']}", "0.environments.0: String should match"),
        (
            "- {name: a, token: 0123456789abcdef, readonly: true}",
            "0.readonly: Extra inputs are not permitted",
        ),
        ("- {name: a}", "0: give exactly one of token, tokenFile and sha256"),
        ("- {name: a, tokenFile: nowhere}", "cannot read .*nowhere: No such file"),
        ("- {name: a, token: 'with space 0123456'}", "visible ASCII characters, without spaces"),
        ("- {name: a, sha256: abc}", "0.sha256: String should match pattern"),
        ("{", "not YAML"),
    ],
)
async def test_wrong_files_of_tokens_are_named(harness: Harness, text: str, message: str) -> None:
    with pytest.raises(StartError, match=message) as wrong:
        async with guarded(harness, tokens=table(harness, text)):
            pass
    assert "0123456789abcdef" not in str(wrong.value)


async def test_variables_for_clients_are_no_trouble_on_a_unix_socket(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_TOKEN_FILE", "/nowhere")
    monkeypatch.setenv("E2E_TOKEN", "short")
    async with harness.running() as client:
        await listed(client)


async def test_a_folder_for_the_key_that_is_missing(harness: Harness) -> None:
    folder = certs(harness)
    (folder / "server.key").unlink()
    with pytest.raises(StartError, match=r"cannot read .*server.key: No such file"):
        async with guarded(harness, tls_cert=folder / "server.crt", tls_key=folder / "server.key"):
            pass
