"""Aliases at work: names that mean a model with parameters of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from stoker.config.aliases import AliasConfig, AliasParameters
from stoker.errors import InvalidReferenceError
from stoker.messages import Author, Message, TextPart
from stoker.reference import Reference
from stoker.request import ChatPrompt, GenerateRequest, RenderRequest, Request, TokenizeRequest


@attrs.frozen
class Alias:
    """A name that means a model with parameters."""

    name: str
    config: AliasConfig

    @property
    def model(self) -> str:
        """The name of the model whose weights answer."""
        return self.config.model

    def apply(self, request: Request) -> Request:
        """The request as the model gets it: for its own name, with the alias's parameters."""
        request = attrs.evolve(request, model=self.model)
        if isinstance(request, RenderRequest):
            return attrs.evolve(request, prompt=self._with_system(request.prompt))
        if isinstance(request, TokenizeRequest) and isinstance(request.prompt, ChatPrompt):
            return attrs.evolve(request, prompt=self._with_system(request.prompt))
        return self._shaped(request) if isinstance(request, GenerateRequest) else request

    def _shaped(self, request: GenerateRequest) -> GenerateRequest:
        defaults, enforced = self.config.defaults, self.config.enforced
        asked = request.sampling.over(defaults.sampling())
        prompt = request.prompt
        return attrs.evolve(
            request,
            sampling=enforced.sampling().over(asked),
            max_tokens=_first(enforced.max_tokens, request.max_tokens, defaults.max_tokens),
            stop=_stop(enforced, request, defaults),
            prompt=self._with_system(prompt) if isinstance(prompt, ChatPrompt) else prompt,
        )

    def _with_system(self, prompt: ChatPrompt) -> ChatPrompt:
        text = self.config.system
        if text is None or any(message.author is Author.SYSTEM for message in prompt.messages):
            return prompt
        system = Message(Author.SYSTEM, (TextPart(text),))
        return attrs.evolve(prompt, messages=(system, *prompt.messages))


class AliasTable:
    """All aliases of a configuration, by the models' names that they take."""

    def __init__(self, aliases: Mapping[str, AliasConfig], schemes: Collection[str]) -> None:
        """Read the names once: every request looks whether it means an alias.

        Args:
            aliases: As they stand in the config.
            schemes: Of the installed stores.

        Raises:
            InvalidReferenceError: An alias's name follows no grammar.
        """
        self._schemes = schemes
        self._aliases: dict[Reference, Alias] = {}
        for name, config in aliases.items():
            reference = Reference.parse(name, schemes=schemes)
            self._aliases.setdefault(reference, Alias(name, config))

    def find(self, name: str) -> Alias | None:
        """The alias that a name means, in any spelling (`brief`, `brief:latest`), or None."""
        if not self._aliases:
            return None
        try:
            wanted = Reference.parse(name, schemes=self._schemes)
        except InvalidReferenceError:
            # Whoever needs a model will say what is wrong with it.
            return None
        return self._aliases.get(wanted)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _stop(
    enforced: AliasParameters, request: GenerateRequest, defaults: AliasParameters
) -> tuple[str, ...]:
    if enforced.stop is not None:
        return enforced.stop
    return request.stop or defaults.stop or ()
