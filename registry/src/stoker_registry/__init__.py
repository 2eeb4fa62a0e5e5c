"""The OCI artifact store of stoker: models from any container registry, kept as an image layout.

`stoker_registry.plugin` is what stoker loads; `stoker_registry.store` is the store.
"""

from __future__ import annotations
