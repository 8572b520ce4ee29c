"""Where a mirror has an image."""

import pytest

from e2e_controller.drivers.docker.registry import mirrored

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("reference", "source"),
    [
        ("quay.io/x/y:1", "mirror:5000/quay.io/x/y:1"),
        ("quay.io/x/y", "mirror:5000/quay.io/x/y:latest"),
        ("busybox:1.36", "mirror:5000/docker.io/library/busybox:1.36"),
        ("docker.io/library/busybox:1.36", "mirror:5000/docker.io/library/busybox:1.36"),
        ("index.docker.io/grafana/grafana:11", "mirror:5000/docker.io/grafana/grafana:11"),
        ("grafana/grafana:11", "mirror:5000/docker.io/grafana/grafana:11"),
        ("localhost:5001/a:1", "mirror:5000/localhost:5001/a:1"),
        ("mirror:5000/a:1", "mirror:5000/a:1"),
        (f"quay.io/x/y@{DIGEST}", f"quay.io/x/y@{DIGEST}"),
    ],
)
def test_the_whole_name_is_below_the_mirrors(reference: str, source: str) -> None:
    assert mirrored(reference, "mirror:5000") == source
    assert mirrored(reference, "") == reference


def test_what_is_no_reference_is_an_error() -> None:
    with pytest.raises(ValueError, match="image reference"):
        mirrored("", "mirror:5000")
