"""This process as a container: a control group of its own, so that cAdvisor shows it beside the containers.

    with e2e.cgroups.current_process_as_container("benchmark"):
        ...  # what this process and its future children use is told for cgroup /e2e/benchmark

Of Linux, with control groups of version 1, 2 or both. It needs permission to write to the cgroup file system;
where that is missing, `NotPermitted` says which commands give it.
"""

from e2e.cgroups.errors import CgroupError, NotPermitted
from e2e.cgroups.process import ProcessContainer, current_process_as_container

__all__ = ["CgroupError", "NotPermitted", "ProcessContainer", "current_process_as_container"]
