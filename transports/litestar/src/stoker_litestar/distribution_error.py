"""Errors of the distribution API, in the form of its specification.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes
"""

from __future__ import annotations

import msgspec

from stoker import errors
from stoker.dialect import ErrorContext
from stoker.errors import StokerError
from stoker_litestar.byte_range import RangeNotSatisfiableError
from stoker_litestar.error_response import MethodNotAllowedError


class NameUnknownError(errors.NotFoundError):
    """There is no such repository."""


class BlobUnknownError(errors.NotFoundError):
    """The repository has no such blob."""


class UploadUnknownError(errors.NotFoundError):
    """There is no such upload."""


class UploadRangeError(RangeNotSatisfiableError):
    """The bytes that a client sends do not follow those that have come."""

    @property
    def message(self) -> str:
        """The sentence to show."""
        return f"Of this upload the bytes from {self.size_bytes} on are wanted next."


class DigestMismatchError(errors.InvalidInputError):
    """The bytes that came are not what their digest says."""


class ManifestInvalidError(errors.InvalidInputError):
    """A manifest cannot be taken."""


class ManifestBlobUnknownError(errors.NotFoundError):
    """A manifest names a blob that has not come."""


class PageSizeError(errors.InvalidInputError):
    """The number of tags to list is no number."""


_CODES: dict[type[StokerError], str] = {
    StokerError: "UNKNOWN",
    errors.InvalidReferenceError: "NAME_INVALID",
    errors.InvalidDigestError: "DIGEST_INVALID",
    errors.ModelNotFoundError: "MANIFEST_UNKNOWN",
    errors.NotFoundError: "NAME_UNKNOWN",
    BlobUnknownError: "BLOB_UNKNOWN",
    errors.AccessDeniedError: "DENIED",
    errors.UnauthenticatedError: "UNAUTHORIZED",
    errors.OverloadedError: "TOOMANYREQUESTS",
    MethodNotAllowedError: "UNSUPPORTED",
    RangeNotSatisfiableError: "RANGE_INVALID",
    UploadUnknownError: "BLOB_UPLOAD_UNKNOWN",
    UploadRangeError: "BLOB_UPLOAD_INVALID",
    DigestMismatchError: "DIGEST_INVALID",
    ManifestInvalidError: "MANIFEST_INVALID",
    ManifestBlobUnknownError: "MANIFEST_BLOB_UNKNOWN",
    # Not in the specification, but what the reference implementation says.
    PageSizeError: "PAGINATION_NUMBER_INVALID",
}


def encode_distribution_error(error: StokerError, _context: ErrorContext) -> bytes:
    """The body of an error response; the code follows from the error, not from the status."""
    code = next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)
    detail = {"code": code, "message": error.message, "detail": None}
    return msgspec.json.encode({"errors": [detail]})
