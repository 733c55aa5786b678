"""Reading JSON that was made to hurt."""

from typing import Any

from flask.json.provider import DefaultJSONProvider


class CarefulJson(DefaultJSONProvider):
    """Flask's own, to which brackets nested without end are bad input like any other, not a defect."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value. Raises `ValueError`."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None
