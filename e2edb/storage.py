"""MinIO, and what Thanos has to know of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Unpack

from e2e import (
    AnyEnvironment,
    AnyWorkload,
    ContainerOptions,
    File,
    HttpProbe,
    InvalidArgument,
    Linked,
    Metrics,
)
from e2edb.parts import Flags, command_line, with_env, with_files

MINIO_IMAGE = "quay.io/minio/minio:RELEASE.2021-04-22T15-44-28Z"
_PORT = 9000
_DATA = "/data"
_CERTIFICATES = "/etc/minio/certs"
_BUCKETS_FIRST = 'while [ "$1" != -- ]; do mkdir -p "$1" || exit; shift; done; shift; exec "$@"'
"""Makes the buckets, which are folders, and becomes what comes after them."""
_USER, _PASSWORD = "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"


@dataclass(frozen=True)
class Certificate:
    """A server's certificate, with those that it was signed by, and its key, both as PEM."""

    certificate: str
    key: str = field(repr=False)


class Defined(Linked, Protocol):
    """A workload of either kind whose manifest is known."""

    @property
    def manifest(self) -> Any:
        """What it shall be."""
        ...


def minio(
    env: AnyEnvironment[AnyWorkload],
    name: str,
    /,
    *,
    buckets: Sequence[str] = ("thanos",),
    access_key: str = "e2e",
    secret_key: str = "e2e-secret-key",  # noqa: S107 - of a store that lives as long as a test
    certificate: Certificate | None = None,
    image: str = MINIO_IMAGE,
    flags: Flags | None = None,
    **options: Unpack[ContainerOptions],
) -> AnyWorkload:
    """An S3 object store with port `http`, or `https`, whose buckets are there when it is ready.

    Args:
        env: where it runs.
        name: its name.
        buckets: the buckets that it has from the start.
        access_key: of its only user; at least 3 characters.
        secret_key: at least 8 characters.
        certificate: makes it serve TLS only, at port `https`. Clients verify it by the name they ask for, so
            that it needs `name` for others of the environment, and 127.0.0.1 for this machine.
        image: the image; needs flags that releases of 2021 and later know.
        flags: changes of the program's flags.
        options: what any container may be given.
    """
    secure = certificate is not None
    port = "https" if secure else "http"
    own_flags = {"--address": f":{_PORT}", "--certs-dir": _CERTIFICATES}
    variables = {
        _USER: access_key,
        _PASSWORD: secret_key,
        "MINIO_PROMETHEUS_AUTH_TYPE": "public",
        "MINIO_UPDATE": "off",  # it would ask its maker's servers at each start
    }
    folders = [f"{_DATA}/{bucket}" for bucket in buckets]
    return env.workload(
        name,
        image=image,
        entrypoint=["sh", "-c", _BUCKETS_FIRST, "sh", _DATA, *folders, "--"],
        command=["minio", "server", *command_line(own_flags, flags), _DATA],
        ports={port: _PORT},
        readiness=HttpProbe(port=port, path="/minio/health/ready", scheme="HTTPS" if secure else "HTTP"),
        metrics=Metrics(port=port, path="/minio/v2/metrics/cluster", scheme="https" if secure else "http"),
        **with_files(with_env(options, variables), *_certificate_files(certificate)),
    )


def _certificate_files(certificate: Certificate | None) -> Sequence[File]:
    if certificate is None:
        return ()
    return (
        File(path=f"{_CERTIFICATES}/public.crt", content=certificate.certificate),
        File(path=f"{_CERTIFICATES}/private.key", content=certificate.key, mode=0o600),
    )


def objstore_config(minio: Defined, bucket: str = "thanos", *, ca_file: str = "") -> Mapping[str, Any]:
    """What Thanos has to know of a bucket in a MinIO, as its `--objstore.config`.

    Args:
        minio: of `e2edb.minio`.
        bucket: the bucket's name.
        ca_file: where, in Thanos' containers, the certificate is that signed MinIO's; give it by `files=`.
            Not needed for an authority that the image knows.
    """
    secure = "https" in minio.manifest.spec.ports
    config = {
        "bucket": bucket,
        "endpoint": minio.internal_endpoint("https" if secure else "http"),
        "access_key": _known(minio, _USER),
        "secret_key": _known(minio, _PASSWORD),
        "insecure": not secure,
    }
    if ca_file:
        config["http_config"] = {"tls_config": {"ca_file": ca_file}}
    return {"type": "S3", "config": config}


def _known(minio: Defined, variable: str) -> str:
    """Raises InvalidArgument for what only the controller knows."""
    value = minio.manifest.spec.env[variable]
    found = value if isinstance(value, str) else value.value_from.value
    if found is None:
        raise InvalidArgument(
            f"{variable} of {minio.name} is known to the controller alone: write the configuration by hand"
        )
    return found
