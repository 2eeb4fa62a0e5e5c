"""A request whose prompt is read, with what that says of its answer."""

from __future__ import annotations

import attrs

from stoker.constraints.matcher import CompiledGrammar
from stoker.constraints.thinking import ThinkingConstraint
from stoker.engine import TokenConstraint
from stoker.request import Constraint, ConstraintKind, GenerateRequest
from stoker.text.chat_syntax import ThinkingPlan

_MASKS = Constraint(ConstraintKind.JSON_OBJECT, param="reasoning")


@attrs.frozen(eq=False)
class PreparedRequest:
    """What is known of a request before the engine knows it."""

    request: GenerateRequest
    prompts: tuple[tuple[int, ...], ...]
    """Each gets as many choices as the request says."""
    submitted_s: float
    text: str = ""
    """A chat's prompt as the template wrote it."""
    constraint: Constraint | None = None
    thinking: ThinkingPlan | None = None

    @property
    def compiled(self) -> Constraint | None:
        """What needs a grammar; None when nothing does.

        To control thinking, the engine must be able to apply masks: any grammar shows whether it
        is.
        """
        return self.constraint or (None if self.thinking is None else _MASKS)

    def begin(self, grammar: CompiledGrammar) -> TokenConstraint:
        """The constraint of one choice, from the grammar of `compiled`."""
        wanted, plan = self.constraint, self.thinking
        inner = None if wanted is None else grammar.begin(wanted.param)
        if plan is None:
            return grammar.begin(_MASKS.param) if inner is None else inner
        return ThinkingConstraint(
            plan.tokens,
            begun=plan.begun,
            budget=plan.budget,
            inner=inner,
            lead=plan.lead,
            end_tokens=grammar.end_tokens,
        )
