"""A registry on loopback with one tiny image under several names, each of which behaves in its own way."""

import asyncio
import base64
import gzip
import hashlib
import io
import json
import tarfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
USER, PASSWORD = "tester", "pass:word"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Registry:
    """`good`, `broken` (503), `slow` (until `let_go`); no others. A private one wants the login for all."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self.port = 0
        self.asked: Counter[str] = Counter()
        """How often each manifest and blob was asked for."""
        self.let_go = asyncio.Event()
        layer = _layer(uuid.uuid4().hex)
        diff = hashlib.sha256(gzip.decompress(layer)).hexdigest()
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/nothing"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
            }
        ).encode()
        self._blobs = {_digest(layer): layer, _digest(config): config}
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _described(config, "application/vnd.docker.container.image.v1+json"),
                "layers": [_described(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
            }
        ).encode()

    @property
    def digest(self) -> str:
        return _digest(self._manifest)

    def reference(self, name: str, tag: str = "1") -> str:
        return f"127.0.0.1:{self.port}/{name}:{tag}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/v2/")
        if self._private and request.headers.get("Authorization") != f"Basic {LOGIN}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        if not path:
            return web.Response()
        name, kind, reference = path.rsplit("/", 2)
        self.asked[f"{name} {kind}"] += 1
        short = name.rpartition("/")[2]  # a mirror has whole names
        if short == "broken":
            return web.Response(status=503, text="not today")
        if short not in ("good", "slow") or reference == "missing":
            errors = [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]
            return web.json_response({"errors": errors}, status=404)
        if kind == "manifests":
            headers = {"Docker-Content-Digest": self.digest}
            return web.Response(body=self._manifest, content_type=MANIFEST_TYPE, headers=headers)
        if short == "slow":
            await self.let_go.wait()
        return web.Response(body=self._blobs[reference], content_type="application/octet-stream")


@asynccontextmanager
async def serve(*, private: bool = False) -> AsyncIterator[Registry]:
    registry = Registry(private=private)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", registry.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        registry.port = runner.addresses[0][1]
        yield registry
    finally:
        registry.let_go.set()
        await runner.cleanup()


def _layer(content: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content.encode()))
    return gzip.compress(buffer.getvalue())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _described(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}
