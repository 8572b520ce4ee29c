"""MinIO with Thanos' own S3 client: buckets, credentials, and TLS that is verified."""

import ssl
from pathlib import Path

import httpx
import pytest
from apis import SECONDS

import e2e
import e2edb
from e2e import greater_or_equal
from tests.certificates import self_signed

CA = "/etc/minio/ca.pem"


@pytest.fixture(scope="session")
def certificate() -> e2edb.Certificate:
    """Signed by itself, for `minio-1` and this machine."""
    return e2edb.Certificate(*self_signed("minio-1", "127.0.0.1"))


def listing(env: e2e.Environment, name: str, config: object, files: dict[str, str] | None = None) -> e2e.Job:
    """A job that lists a bucket."""
    import yaml

    command = ["tools", "bucket", "ls", f"--objstore.config={yaml.safe_dump(config)}"]
    return env.job(name, image=e2edb.THANOS_IMAGE, command=command, files=files or {})


def test_buckets_are_there_for_whoever_has_the_keys(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    minio = e2edb.minio(env, "minio-1", buckets=["first", "second"], access_key="somebody")
    minio.start_and_wait_ready()
    minio.wait_sum_metrics(greater_or_equal(0), "minio_node_process_uptime_seconds")
    for bucket in ("first", "second"):
        listing(env, f"list-{bucket}", e2edb.objstore_config(minio, bucket)).run()

    with pytest.raises(e2e.WaitFailed, match="bucket does not exist"):
        listing(env, "list-third", e2edb.objstore_config(minio, "third")).run()
    stranger = e2edb.objstore_config(minio, "first")
    stranger["config"]["secret_key"] = "guessed-wrong"
    with pytest.raises(e2e.WaitFailed, match="signature"):
        listing(env, "list-as-stranger", stranger).run()


def test_tls_is_verified(e2e_environment: e2e.Environment, certificate: e2edb.Certificate) -> None:
    env = e2e_environment
    minio = e2edb.minio(env, "minio-1", certificate=certificate)
    minio.start_and_wait_ready()
    url = f"https://{minio.endpoint('https')}/minio/health/ready"
    trusting = ssl.create_default_context(cadata=certificate.certificate)
    assert httpx.get(url, verify=trusting, trust_env=False, timeout=SECONDS).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(url, trust_env=False, timeout=SECONDS)
    minio.wait_sum_metrics(greater_or_equal(0), "minio_node_process_uptime_seconds")

    trusted = {CA: certificate.certificate}
    listing(env, "list-trusted", e2edb.objstore_config(minio, ca_file=CA), trusted).run()
    with pytest.raises(e2e.WaitFailed, match="x509"):
        listing(env, "list-unknown", e2edb.objstore_config(minio)).run()


def test_minio_by_another_name_is_not_trusted(
    e2e_environment: e2e.Environment, certificate: e2edb.Certificate, tmp_path: Path
) -> None:
    env = e2e_environment
    minio = e2edb.minio(env, "minio-2", certificate=certificate)
    minio.start_and_wait_ready()
    trusted = {CA: certificate.certificate}
    with pytest.raises(e2e.WaitFailed, match="not minio-2"):
        listing(env, "list", e2edb.objstore_config(minio, ca_file=CA), trusted).run()
