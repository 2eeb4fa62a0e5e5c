"""The models: listed, described, named and removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from stoker.dialect import CommandCall, CommandQuery
from stoker.errors import InvalidRequestError
from stoker.host import ModelCard
from stoker.management import (
    FindModel,
    ListModels,
    ModelFound,
    ModelList,
    ModelRemoved,
    ModelStored,
    RemoveModel,
    TagModel,
)
from stoker_litestar.dialects.docker.result import answered
from stoker_litestar.dialects.docker.wire.model import (
    ConfigObject,
    DeletedObject,
    ModelObject,
    TagAnswer,
    UntaggedObject,
)

_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "f", "false", "no", "off"})


def decode_list(_query: CommandQuery) -> CommandCall:
    """Decode `GET /models`."""
    return answered(ListModels(), ModelList, lambda result: _by_model(result.cards))


def decode_inspect(query: CommandQuery) -> CommandCall:
    """Decode `GET /models/{name}`.

    Raises:
        InvalidRequestError: `remote` is neither true nor false.
    """
    command = FindModel(query.name, remote=_flag(query, "remote"))
    return answered(
        command, ModelFound, lambda found: _model(found.card, found.names or (query.name,))
    )


def decode_tag(query: CommandQuery) -> CommandCall:
    """Decode `POST /models/{name}/tag?repo=REPOSITORY&tag=TAG`.

    Raises:
        InvalidRequestError: One of them is missing.
    """
    for name in ("repo", "tag"):
        if not query.query.get(name):
            raise InvalidRequestError(f"{name}: say the new name with repo and tag.", param=name)
    target = f"{query.query['repo']}:{query.query['tag']}"

    def answer(_stored: ModelStored) -> TagAnswer:
        return TagAnswer(f"Model tagged successfully with {target!r}", target)

    return answered(TagModel(query.name, target), ModelStored, answer)


def decode_delete(query: CommandQuery) -> CommandCall:
    """Decode `DELETE /models/{name}`.

    Raises:
        InvalidRequestError: `force` is neither true nor false.
    """
    return answered(RemoveModel(query.name, force=_flag(query, "force")), ModelRemoved, _removed)


def _by_model(cards: Iterable[ModelCard]) -> list[ModelObject]:
    """One entry per model, whatever the number of its names."""
    names: dict[str, list[str]] = {}
    first: dict[str, ModelCard] = {}
    for card in cards:
        names.setdefault(str(card.digest), []).append(card.name)
        first.setdefault(str(card.digest), card)
    return [_model(card, names[digest]) for digest, card in first.items()]


def _model(card: ModelCard, names: Sequence[str]) -> ModelObject:
    facts = card.facts
    return ModelObject(
        id=str(card.digest),
        tags=list(names),
        created=int(card.created_s),
        config=ConfigObject(
            format=facts.format or UNSET,
            quantization=facts.quantization or UNSET,
            parameters=facts.parameters or UNSET,
            architecture=facts.architecture or UNSET,
            size=f"{card.size_bytes / 1024**2:.2f} MiB",
            context_size=facts.context_length or UNSET,
        ),
    )


def _removed(result: ModelRemoved) -> list[UntaggedObject | DeletedObject]:
    untagged = [
        UntaggedObject(reference.familiar)
        for removal in result.removals
        for reference in removal.untagged
    ]
    deleted = [
        DeletedObject(str(digest)) for removal in result.removals for digest in removal.deleted
    ]
    return [*untagged, *deleted]


def _flag(query: CommandQuery, name: str) -> bool:
    text = query.query.get(name, "").lower()
    if name in query.query and not text:
        return True
    if text not in _TRUE | _FALSE:
        raise InvalidRequestError(f"{name}: expected true or false, not {text[:20]!r}.", param=name)
    return text in _TRUE
