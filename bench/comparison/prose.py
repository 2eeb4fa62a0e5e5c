"""Prompts: the same for every peer, other ones for every round and user."""

from __future__ import annotations

import random

WORDS = (
    *("rain", "sun", "hill", "road", "bread", "water", "stone", "light", "wind", "door"),
    *("river", "garden", "letter", "horse", "winter", "bridge", "kettle", "window", "song"),
)
BEGINNINGS = (
    "Once upon a time there was a fisherman who",
    "The most important thing about a garden is",
    "In the year 2050 the first people on Mars",
    "A good recipe for bread begins with",
    "When the train stopped in the mountains, the children",
    "The history of the bicycle begins in",
    "To repair an old clock you first have to",
    "My grandmother always told us that the sea",
    "The library at the end of the street has",
    "Astronomers have known for a long time that",
    "The best way to learn a language is",
    "In the middle of the night somebody knocked, and",
    "A small company that makes violins",
    "If you want to grow tomatoes, you should",
    "The king had three daughters, and the youngest",
    "Before there were telephones, people",
)


def beginning(stream: int, round_: int) -> str:
    """The begin of a text, other than all others from its first words on."""
    return f"Number {round_}{stream:02}. {BEGINNINGS[stream % len(BEGINNINGS)]}"


def words(count: int, seed: str) -> str:
    """So many words, each about a token; the same for the same seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))
