"""JSON bodies: decoding with errors that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from stoker.errors import InvalidRequestError

BodyT = TypeVar("BodyT", bound=msgspec.Struct)

# msgspec puts the place at the end of its message: "... - at `$.messages[0].content`", and for the
# key of an object "... - at `key` in `$.logit_bias`".
_PLACE = re.compile(
    r"^(?P<problem>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL
)
_FIELD = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<field>.*)`$")
_WHAT = {
    "contains unknown": "there is no such field: remove it or check its spelling",
    "missing required": "this field is required",
}


def field_error(path: str, problem: str) -> InvalidRequestError:
    """Make the error for one field.

    Args:
        path: Where the field is: `messages[0].content`.
        problem: What is wrong with it, without a full stop.
    """
    return InvalidRequestError(f"{path}: {problem}.", param=path)


def decode_body(decoder: msgspec.json.Decoder[BodyT], body: bytes) -> BodyT:
    """Decode a body.

    Raises:
        InvalidRequestError: The body is not JSON or not of the decoder's type. Names the field.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise _located(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequestError(f"The request's body is not JSON: {exc}.") from exc
    except RecursionError as exc:
        raise InvalidRequestError("The request's body is nested too deeply.") from exc


def convert_part(value: Any, kind: type[BodyT], path: str) -> BodyT:
    """Give a part of a body its type, where that follows from the part itself.

    Args:
        value: As JSON was decoded: dicts, lists, texts and numbers.
        kind: The type.
        path: Where the part is: `messages[0].content[1]`.

    Raises:
        InvalidRequestError: The part is not of the type. Names the field.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _located(str(exc), path) from exc


def _located(message: str, root: str = "") -> InvalidRequestError:
    """Say a message of msgspec's in our form.

    Args:
        message: The message.
        root: Where what was decoded stands in the body.
    """
    match = _PLACE.match(message)
    path, problem = (match["path"] or "", match["problem"]) if match else ("", message)
    path = f"{root}.{path}" if root and path and not path.startswith("[") else root + path
    field = _FIELD.match(problem)
    if field:
        path = f"{path}.{field['field']}" if path else field["field"]
        return field_error(path, _WHAT[field["what"]])
    problem = problem.replace(" | null", "").replace("`", "")
    problem = problem[:1].lower() + problem[1:]
    if match and match["key"]:
        problem = f"as a key, {problem}"
    if path:
        return field_error(path, problem)
    return InvalidRequestError(f"The request's body: {problem}.")
