"""How every process of ours writes its log: one line an event, to standard error."""

import logging
import sys

_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


def configure() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gistmill").setLevel(logging.INFO)
