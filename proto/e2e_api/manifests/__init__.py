"""The kinds of manifest, as frozen pydantic models.

Nothing is coerced: an unknown field, a wrong type or a bad name is an error. The published JSON Schema
comes from these models. `parsing` turns a file's text into them, with positions for the errors.
"""

from e2e_api.manifests.base import DNS_LABEL, FIELD_ERROR, DnsLabel, Model
from e2e_api.manifests.files import METRIC_JOBS, File, Rendered
from e2e_api.manifests.kinds import (
    API_VERSION,
    KINDS,
    ContainerManifest,
    Environment,
    Job,
    Manifest,
    Metadata,
    Workload,
    dependency_names,
    environment_of,
    json_schema,
    to_document,
    with_host_paths,
)
from e2e_api.manifests.metrics import BasicAuth, Metrics, Profiles, Tls
from e2e_api.manifests.parts import (
    Build,
    Dependency,
    Port,
    Resources,
    Security,
    Stop,
    Volume,
)
from e2e_api.manifests.probes import (
    PROBES,
    ExecProbe,
    GrpcProbe,
    HealthcheckProbe,
    HttpProbe,
    LogProbe,
    Probe,
    Readiness,
    TcpProbe,
)
from e2e_api.manifests.secrets import VARIABLE_PREFIX, Secret, SecretFile, ValueFrom, VariableValue
from e2e_api.manifests.specs import ContainerFields, EnvironmentSpec, JobSpec, State, WorkloadSpec
from e2e_api.manifests.texts import normal_path

__all__ = [
    "API_VERSION",
    "DNS_LABEL",
    "FIELD_ERROR",
    "KINDS",
    "METRIC_JOBS",
    "PROBES",
    "VARIABLE_PREFIX",
    "BasicAuth",
    "Build",
    "ContainerFields",
    "ContainerManifest",
    "Dependency",
    "DnsLabel",
    "Environment",
    "EnvironmentSpec",
    "ExecProbe",
    "File",
    "GrpcProbe",
    "HealthcheckProbe",
    "HttpProbe",
    "Job",
    "JobSpec",
    "LogProbe",
    "Manifest",
    "Metadata",
    "Metrics",
    "Model",
    "Port",
    "Probe",
    "Profiles",
    "Readiness",
    "Rendered",
    "Resources",
    "Secret",
    "SecretFile",
    "Security",
    "State",
    "Stop",
    "TcpProbe",
    "Tls",
    "ValueFrom",
    "VariableValue",
    "Volume",
    "Workload",
    "WorkloadSpec",
    "dependency_names",
    "environment_of",
    "json_schema",
    "normal_path",
    "to_document",
    "with_host_paths",
]
