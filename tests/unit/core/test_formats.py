from __future__ import annotations

import pytest

from stoker.digest import Digest
from stoker.errors import ConflictError
from stoker.formats import FormatRule, FormatTable
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role

RAW = MediaType("application/vnd.example.weight.raw")

TABLE = FormatTable.of(
    [
        FormatRule(Role.WEIGHTS, media_type=RAW),
        FormatRule(Role.WEIGHTS, GGUF, media_type=RAW, config_format="gguf"),
        FormatRule(Role.WEIGHTS, GGUF, media_type=RAW, path="*.gguf"),
        FormatRule(Role.WEIGHTS, SAFETENSORS, media_type=RAW, path="*.safetensors"),
        FormatRule(Role.PROJECTOR, media_type=RAW, config_format="gguf", path="*mmproj*"),
        FormatRule(Role.LICENSE, path="license*"),
    ]
)


def _layer(media_type: MediaType, path: str | None = None) -> Descriptor:
    annotations = {ANNOTATION_FILE_PATH: path} if path else {}
    return Descriptor(media_type, Digest.of(b""), 0, annotations)


@pytest.mark.parametrize(
    ("media_type", "config_format", "path", "expected"),
    [
        (RAW, "gguf", None, (GGUF, Role.WEIGHTS)),
        (RAW, None, "dir/Model.GGUF", (GGUF, Role.WEIGHTS)),
        (RAW, "safetensors", "a.safetensors", (SAFETENSORS, Role.WEIGHTS)),
        (RAW, "gguf", "a.safetensors", (GGUF, Role.WEIGHTS)),
        (RAW, "gguf", "x-mmproj-f16.gguf", (RAW, Role.PROJECTOR)),
        (RAW, None, None, (RAW, Role.WEIGHTS)),
        (GGUF, None, None, (GGUF, Role.WEIGHTS)),
        (MediaType("text/plain"), None, "LICENSE.txt", (MediaType("text/plain"), Role.LICENSE)),
        (MediaType("text/plain"), None, "notes.txt", (None, Role.OTHER)),
    ],
)
def test_the_most_specific_rule_wins(
    media_type: MediaType,
    config_format: str | None,
    path: str | None,
    expected: tuple[MediaType | None, Role],
) -> None:
    """More conditions beat fewer, and the config's format beats the file's path."""

    layer = TABLE.layer(_layer(media_type, path), config_format=config_format)

    assert expected == (layer.media_type, layer.role)


def test_the_order_of_rules_does_not_matter() -> None:
    """The same rules in any order make the same table."""

    assert TABLE == FormatTable.of(reversed(TABLE.rules))


def test_one_condition_with_two_results_is_a_conflict() -> None:
    """Two plugins cannot say different things of the same layers."""

    with pytest.raises(ConflictError, match="clash"):
        FormatTable.of([FormatRule(Role.DOC, media_type=GGUF)])
