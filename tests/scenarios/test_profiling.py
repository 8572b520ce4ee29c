"""Profiling with a Parca, and without one."""

import pytest

import e2e


def test_where_no_image_can_be_had_that_is_told(e2e_environment: e2e.Environment) -> None:
    image = "ghcr.io/parca-dev/parca:v0.0.0-none"
    with pytest.raises(e2e.WaitFailed, match=f"needs Parca, whose image {image} is not here") as raised:
        e2e.profiling.start(e2e_environment, image=image)
    assert raised.value.reason == "ImagePullFailed"
    assert f"docker pull {image}" in str(raised.value)
    assert e2e_environment.statuses() == {}
