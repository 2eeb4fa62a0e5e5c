"""What becomes of every field of Docker Model Runner's own requests."""

from __future__ import annotations

from stoker_litestar.dialects.fields import FieldTable, honoured, refused

_LOGIN = refused("log in on the server's machine: stoker login", harmless=("",))

CREATE_FIELDS = FieldTable({"from": honoured(), "bearer-token": _LOGIN})

PUSH_FIELDS = FieldTable({"bearer-token": _LOGIN})

UNLOAD_FIELDS = FieldTable(
    {
        "all": honoured("what somebody uses just now stays"),
        "backend": honoured("empty means every one"),
        "models": honoured("one that is not loaded is no error"),
    }
)
