"""Answers that repeat what stands in the prompt, as edits of files do."""

from __future__ import annotations

from comparison.generation import Arrival, Generation, pace
from comparison.peer import Session
from comparison.workload import Metric, Workload

FILE = '''\
class Basket:
    """What a customer wants to buy."""

    def __init__(self, owner, currency="EUR"):
        self.owner = owner
        self.currency = currency
        self.lines = []

    def add(self, article, price, count=1):
        if count < 1:
            raise ValueError("count must be positive")
        self.lines.append((article, price, count))

    def remove(self, article):
        self.lines = [line for line in self.lines if line[0] != article]

    def total(self):
        return sum(price * count for _, price, count in self.lines)

    def __repr__(self):
        return f"<Basket of {self.owner}: {self.total()} {self.currency}>"
'''
ARTICLE = (
    "The old bridge over the river was closed on Monday after engineers found cracks in two of its"
    ' stone arches. "We cannot say yet how long the work will take," the mayor said, "but nobody'
    ' will cross it this winter." Shops on both sides fear for their customers. The baker said that'
    " half of her guests come from the other side. A ferry will carry people from Thursday on, from"
    " six in the morning until ten at night, and it will cost nothing."
)


class Copying(Workload):
    """One stream at a time, two kinds of text."""

    name = "copy"
    summary = "one stream of 192 tokens: a file with one change, and a report with its quotes"
    metrics = (
        Metric("edit, tokens/s", "1/s", more_is_better=True),
        Metric("quotes, tokens/s", "1/s", more_is_better=True),
    )
    context_length = 2048
    usual_peers = ("llama-server", "llama-server:--spec-default", "stoker")

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """First the file, then the article."""
        edit = (
            f"Change {round_}. The file:\n\n```python\n{FILE}```\n\nThe same file, with the"
            f" currency CHF instead of EUR:\n\n```python\nclass Basket:\n"
        )
        quotes = (
            f"Report {round_}.\n\n{ARTICLE}\n\nThe report again, with all of its quotes:\n\n"
            "The old bridge over the river was"
        )
        figures = {}
        for name, prompt in (("edit", edit), ("quotes", quotes)):
            (reading,) = await session.play([Arrival(Generation(prompt, 192))])
            figures[f"{name}, tokens/s"] = pace(reading)
        return figures
