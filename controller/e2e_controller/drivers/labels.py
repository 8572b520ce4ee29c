"""How what we make on an engine is marked: labels, and the tags of images that are built."""

import re

LABEL_CONTROLLER = "io.e2e.controller"
LABEL_ENVIRONMENT = "io.e2e.environment"
LABEL_KIND = "io.e2e.kind"
LABEL_NAME = "io.e2e.name"
LABEL_SPEC_HASH = "io.e2e.spec-hash"
LABEL_STATE_DIR = "io.e2e.state-dir"
"""The state folder of the controller that made it, absolute."""
LABEL_HOST = "io.e2e.host"
"""The machine whose folder that is."""

_BUILD_TAG = re.compile(r"e2e-build/(?P<environment>[^.:/]+)\.[^:/]+:")


def environment_of_tag(tag: str) -> str:
    """The environment for which an image of that tag is built; "" where it is no tag of ours."""
    found = _BUILD_TAG.match(tag)
    return found["environment"] if found else ""
