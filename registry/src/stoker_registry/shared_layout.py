"""Shared stores: image layouts of others, read where they are and never written, not even locked.

A bundle or a fact that a model of theirs needs is kept in the store's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from stoker.errors import ConfigError, StokerError
from stoker.formats import FormatTable
from stoker_registry.blobs import BlobDirectory
from stoker_registry.bundles import FOREIGN_LINKS
from stoker_registry.layout import ImageLayout
from stoker_registry.local_models import LocalModels
from stoker_registry.names import NameIndex


def open_shared(
    folders: Sequence[str], own: ImageLayout, formats: FormatTable
) -> tuple[LocalModels, ...]:
    """Open the shared stores of the config.

    Args:
        folders: Where they are.
        own: Has the folders for bundles and facts.
        formats: The rules that say what a layer is.

    Raises:
        ConfigError: One is no image layout, or is not there: a store that is missing must not
            look like one without models, which would be pulled again then.
    """
    return tuple(_open(Path(folder).expanduser(), own, formats) for folder in folders)


def _open(folder: Path, own: ImageLayout, formats: FormatTable) -> LocalModels:
    # Only who has shared stores waits for what reads layouts of others.
    from stoker_registry.layout_models import check_mark  # noqa: PLC0415
    from stoker_registry.layout_source import FolderSource  # noqa: PLC0415

    names = NameIndex(folder / "index.json")
    try:
        check_mark(FolderSource(folder), str(folder))
        names.entries()
    except (StokerError, OSError) as exc:
        raise ConfigError(
            source="[stores.oci]",
            key="shared",
            problem=f"{folder} cannot be used ({str(exc).rstrip('.')}): mount it, or take it out"
            " of the list",
        ) from exc
    blobs = BlobDirectory(folder / "blobs")
    bundles = attrs.evolve(own.bundles, blobs=blobs, links=FOREIGN_LINKS)
    return LocalModels(folder, names, blobs, bundles, own.facts, formats)
