"""`python -m competition_utils SUBCOMMAND …`"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: while packages are imported nothing has begun, and an interrupted import prints a traceback."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as under nohup
        signal.signal(signal.SIGINT, _leave)
    from competition_utils.cli.main import main

    status = main()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # all is done; Python would let them end it by force while it closes
    sys.exit(status)
