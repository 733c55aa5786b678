"""Logs of the server groups hold no query strings and no values: what kind of thing went wrong, and where."""

import logging
import re
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from telepsych.core.errors import kind_and_place

QUERY = re.compile(r"\?[^\s'\"]*")


class Plain(logging.Filter):
    """Cuts query strings out of a record, and leaves of an error only its kind and place."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = QUERY.sub("?", record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            said = f"{said} ({kind_and_place(record.exc_info[1])})"
        record.msg, record.args, record.exc_info, record.exc_text = said, (), None, None
        return True


class PlainLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger with that filter."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.addFilter(Plain())
