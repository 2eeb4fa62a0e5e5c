"""Images and other files inside of JSON bodies."""

from __future__ import annotations

import base64
import binascii
import re

from stoker.errors import UnsupportedFeatureError
from stoker.messages import ImagePart
from stoker_litestar.dialects.json_body import field_error

# RFC 2397, of which only the base64 form makes sense for images.
_DATA_URL = re.compile(r"data:(?P<type>image/[A-Za-z0-9.+-]+)(?:;[^,;]+)*;base64,", re.ASCII)


def decode_base64(text: str, path: str) -> bytes:
    """Decode what is no empty file.

    Raises:
        InvalidRequestError: It is no base64, or empty; names the path.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise field_error(path, "it is not valid base64") from exc
    if not data:
        raise field_error(path, "it is empty")
    return data


def image_of_url(url: str, path: str) -> ImagePart:
    """Take an image out of a data URL.

    Raises:
        InvalidRequestError: The URL is a broken data URL; names the path.
        UnsupportedFeatureError: It is the address of something elsewhere.
    """
    match = _DATA_URL.match(url)
    if match is None:
        if url.startswith("data:"):
            raise field_error(path, "expected data:image/TYPE;base64,DATA")
        raise refused_part(path, "images are not fetched: send them as a data: URL")
    return ImagePart(decode_base64(url[match.end() :], path), match["type"])


def refused_part(path: str, problem: str) -> UnsupportedFeatureError:
    """Make the error for a part of a kind that is not taken."""
    return UnsupportedFeatureError(f"{path}: {problem}.", param=path)
