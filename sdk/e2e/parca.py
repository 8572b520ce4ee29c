"""What Parca is told, and what is told where it cannot be had. Pure."""

import yaml

from e2e.options import WorkloadOptions
from e2e_api.errors import E2EError, InvalidArgument, WaitFailed
from e2e_api.manifests import File, HttpProbe

IMAGE = "ghcr.io/parca-dev/parca:v0.21.0"
PORT = 7070
SECONDS = 5
"""Between the profiles of a workload, unless told otherwise."""
_CONFIG, _TARGETS = "/etc/parca/parca.yaml", "/etc/parca/targets.json"
_STORAGE = {"type": "FILESYSTEM", "config": {"directory": "/tmp/parca"}}  # noqa: S108 - in the container  # nosec B108


def options(image: str, scrape_interval: int) -> WorkloadOptions:
    """The workload's; it finds who is profiled in a file that the controller keeps current."""
    return {
        "image": image,
        "command": [
            f"--config-path={_CONFIG}",
            f"--http-address=:{PORT}",
            "--log-level=info",
            "--debuginfod-upstream-servers=",
        ],
        "ports": {"http": PORT},
        "files": files(scrape_interval),
        "readiness": HttpProbe(port="http", path="/metrics"),
        "metrics": "http",
    }


def files(scrape_interval: int) -> tuple[File, ...]:
    """Its configuration, and who is profiled, which the controller keeps current. Raises InvalidArgument."""
    if isinstance(scrape_interval, bool) or scrape_interval < 1 or scrape_interval != int(scrape_interval):
        raise InvalidArgument(f"scrape_interval: expected whole seconds, 1 or more, not {scrape_interval}")
    return (
        File(path=_CONFIG, content=_config(int(scrape_interval))),
        File.model_validate({"path": _TARGETS, "from": "ProfileTargets"}),
    )


def _config(scrape_interval: int) -> str:
    job = {
        "job_name": "profiles",
        "scrape_interval": f"{scrape_interval}s",
        "scrape_timeout": f"{scrape_interval + 10}s",
        "file_sd_configs": [{"files": [_TARGETS], "refresh_interval": "1s"}],
        "relabel_configs": [
            # Where a workload's `profiles.path` is another than the one that Parca puts before each kind.
            {
                "source_labels": ["__metrics_path__", "__profile_path__"],
                "regex": "(.*?)/*;/debug/pprof(/.+)",
                "target_label": "__profile_path__",
                "replacement": "$1$2",
            }
        ],
    }
    return yaml.safe_dump({"object_storage": {"bucket": _STORAGE}, "scrape_configs": [job]}, sort_keys=False)


def without_image(error: E2EError, image: str) -> E2EError:
    """The error of a start, where it was the image that was missing with what to do about it."""
    if error.reason != "ImagePullFailed":
        return error
    first, *evidence = error.message.splitlines()
    lines = [
        f"profiling needs Parca, whose image {image} is not here and cannot be pulled",
        f"  pull it where its registry answers (`docker pull {image}`), or give `image=`",
        "  with no server at all, workload.profile(...) and `e2e profile` save a profile as a file",
        *(f"  {line}" for line in (first, *evidence)),
    ]
    return WaitFailed("\n".join(lines), reason=error.reason, details=error.details)
