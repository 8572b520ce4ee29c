"""What the engine says, without what it puts around it. Pure."""

import re

_CONNECTIVITY = re.compile(
    r"driver failed programming external connectivity on endpoint \S+( \([0-9a-f]+\))?: "
)
_RUNTIME = re.compile(
    r"(failed to create shim( task)?: )?OCI runtime (create|exec) failed: "
    r"(runc (create|exec) failed: |exec failed: )?(container_linux\.go:\d+: )?"
    r"((unable to start|starting) container process( caused)?: )?(error during container init: )?"
)
_AROUND_MOUNTS = re.compile(
    r" \(via /proc/self/fd/\d+\), flags: 0x[0-9a-f]+|: Are you trying to mount a directory onto a file.*",
    re.DOTALL,
)
_NO_SUCH_IMAGE = re.compile(r"no such image: .*?: (?=invalid reference format)")
"""Of a name that is none."""
_ROOT_OF_ITS_FILES = re.compile(r"/\S+/overlay2/[0-9a-f]+/merged(?=/)")
_UNKNOWN = re.compile(r": unknown\b(?=$|:|\n)")
"""The class of the runtime's error, behind its text."""


def plain(message: str) -> str:
    """The message without the names of the engine's own parts, through which it came."""
    text = message
    for pattern in (_CONNECTIVITY, _NO_SUCH_IMAGE, _ROOT_OF_ITS_FILES):
        text = pattern.sub("", text)
    if not _RUNTIME.search(text):
        return text
    return _UNKNOWN.sub("", _AROUND_MOUNTS.sub("", _RUNTIME.sub("", text)))
