"""Coverage-guided fuzzing of the reader of official files: `python fuzz_json_lines.py -max_total_time=60 [FOLDER]`.

Needs atheris (`uv pip install atheris`), which the suite does not install. A read must end with a table or with a
UserError; anything else is a crash, whose input atheris writes into the working directory.
"""

import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["competition_utils"]):
    from competition_utils.data.files import read_table
    from competition_utils.errors import UserError
    from competition_utils.tasks import QI

PLACE = Path(tempfile.mkdtemp()) / "train_QI.txt"
SEED = b'{"id": 1, "task": "QI", "language": "en", "origin_query": "shoe", "item_title": "red shoe", "label": 1}\n'


def read(content: bytes) -> None:
    """One input: the sample line, with what the fuzzer made before, within and behind it."""
    cut = content[0] % len(SEED) if content else 0
    PLACE.write_bytes(SEED[:cut] + content[1:] + SEED[cut:] if content else b"")
    with suppress(UserError):
        read_table(PLACE, QI)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
