"""Sphinx settings; `make docs` turns warnings into errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.version import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "stoker"
author = "the stoker authors"
version = release = __version__

sys.path.append(str(Path(__file__).parent / "_ext"))
extensions = [
    "code_tables",
    "error_pages",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # `--option` must not become a dash
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"stoker {release}"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
nitpick_ignore_regex = [
    # Other libraries' names have no inventory here, because the build must not need a network.
    ("py:.*", r"(?!stoker\.).*"),
    # Type variables, and classes behind the contracts that no page describes.
    ("py:.*", r"stoker\.\w+\.\w+T"),
    ("py:.*", r"stoker\.(text|aliases|testing\.(contract|loaded))\..*"),
]

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))")
_attributes: dict[str, list[str]] = {}


def _read_backticks_as_code(
    _app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Names in docstrings stand in single backticks, which mean something else to Sphinx."""
    text = _CODE.sub(
        lambda match: f"``{match[1]}``" + ("\\ " if match[2] else ""), "\n".join(lines)
    )
    lines[:] = text.split("\n")
    if what in {"attribute", "data"}:
        _attributes[name] = list(lines)


def _keep_attributes(
    _app: Sphinx, _what: str, name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Napoleon takes what stands before a colon for the attribute's type; undo that."""
    if name in _attributes:
        lines[:] = _attributes[name]


def setup(app: Sphinx) -> None:
    """Connect what has to happen before and after napoleon (priority 500)."""
    app.connect("autodoc-process-docstring", _read_backticks_as_code, priority=400)
    app.connect("autodoc-process-docstring", _keep_attributes, priority=600)
