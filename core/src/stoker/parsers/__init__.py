"""The parsers that stoker brings: a module for each family of models, over a common reader.

They have the form that plugins' parsers have (`stoker.parser`); `stoker.parsers.shipped` lists
them.
"""

from __future__ import annotations
