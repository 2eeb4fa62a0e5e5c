"""What any engine refuses of a job, before it costs anything. For engines to call in `submit`."""

from __future__ import annotations

from collections.abc import Collection

from stoker.engine import EngineInfo, PoolingJob, SequenceJob
from stoker.errors import InvalidRequestError, UnsupportedFeatureError


def check_sequence(job: SequenceJob, info: EngineInfo, ids: Collection[int]) -> None:
    """Let a sequence through that the model can compute.

    Libraries read beyond their tables for a token that does not exist, or refuse the whole batch.

    Args:
        job: The sequence.
        info: The engine's.
        ids: Those of the jobs that the engine has.

    Raises:
        InvalidRequestError: It has tokens that do not exist, does not fit into the context, or has
            an id that is in use.
    """
    _check_id(job.id, ids)
    _check_tokens("A prompt", job.prompt, info, param="prompt")
    if job.max_tokens < 1 or len(job.prompt) + job.max_tokens > info.context_length:
        raise InvalidRequestError(
            f"{len(job.prompt)} tokens of prompt and {job.max_tokens} of answer do not fit into"
            f" the context of {info.context_length}.",
            param="max_tokens",
        )


def check_pooling(job: PoolingJob, info: EngineInfo, ids: Collection[int]) -> None:
    """Let a text through that the model can read as a whole.

    Args:
        job: The text.
        info: The engine's.
        ids: Those of the jobs that the engine has.

    Raises:
        InvalidRequestError: It has tokens that do not exist, or too many; or it is for a mode that
            the model does not have, or has an id that is in use.
    """
    _check_id(job.id, ids)
    if job.mode not in info.modes:
        raise UnsupportedFeatureError(f"This model does not {job.mode}.", param="model")
    _check_tokens("A text", job.tokens, info)
    if len(job.tokens) > info.context_length:
        raise InvalidRequestError(
            f"{len(job.tokens)} tokens do not fit into the context of {info.context_length}."
        )


def _check_id(job_id: int, ids: Collection[int]) -> None:
    if job_id in ids:
        raise InvalidRequestError(f"The id {job_id} is in use.")


def _check_tokens(
    what: str, tokens: tuple[int, ...], info: EngineInfo, *, param: str | None = None
) -> None:
    size = info.vocabulary_size
    if not tokens or min(tokens) < 0 or max(tokens) >= size:
        raise InvalidRequestError(
            f"{what} must have tokens, and all of them between 0 and {size - 1}.", param=param
        )
