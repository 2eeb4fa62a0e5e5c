"""Images in requests: base64 without a type, which their first bytes tell."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from stoker.messages import ImagePart
from stoker_litestar.dialects.json_body import field_error

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_RIFF, _WEBP = b"RIFF", b"WEBP"


def images_of(wire: Iterable[str] | None, path: str) -> tuple[ImagePart, ...]:
    """Read images.

    Args:
        wire: In base64; a `data:` address is taken, too.
        path: Where they stand, for errors.

    Raises:
        InvalidRequestError: One is no base64, or no image that is known.
    """
    return tuple(_image(text, f"{path}[{i}]") for i, text in enumerate(wire or ()))


def _image(text: str, path: str) -> ImagePart:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise field_error(path, "it is not valid base64") from exc
    for magic, mime_type in _MAGIC:
        if data.startswith(magic):
            return ImagePart(data, mime_type)
    if data.startswith(_RIFF) and data[8:12] == _WEBP:
        return ImagePart(data, "image/webp")
    raise field_error(path, "it is no PNG, JPEG, GIF, BMP or WebP")
