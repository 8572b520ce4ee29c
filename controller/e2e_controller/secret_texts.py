"""The texts of the secrets that an object needs, as of one look at their sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from e2e_api.conditions import Reason
from e2e_api.manifests import Secret


@dataclass(frozen=True, slots=True)
class SecretTexts:
    """Each with what may be told of it: a digest that nobody can compute without the controller's key."""

    values: Mapping[Secret, bytes] = field(default_factory=dict, repr=False)
    digests: Mapping[Secret, str] = field(default_factory=dict)
    reason: Reason = Reason.SECRET_NOT_FOUND
    problem: str = ""
    """Why one of them cannot be had; empty where all are there."""

    def value(self, secret: Secret) -> bytes:
        """Empty where it cannot be had."""
        return self.values.get(secret, b"")

    def variable(self, secret: Secret) -> str:
        """As the value of a variable: editors end a file with a line break, which nobody means."""
        text = self.value(secret).decode("utf-8", "replace")
        return text.removesuffix("\n").removesuffix("\r") if secret.file is not None else text

    def digest(self, secret: Secret) -> str:
        """What stands for it in a spec's hash."""
        return self.digests.get(secret, "")


NO_SECRETS = SecretTexts()
