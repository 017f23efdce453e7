"""Coverage-guided fuzzing of one reader: `python tests/soak/fuzz_readers.py READER -max_total_time=60`.

Readers: json_lines, csv, parquet, lexicon, config, strategy, submission. Needs atheris (the extra `soak`). Reading must
end with a result or with a UserError; anything else is a crash, whose input atheris writes into the working directory.
"""

import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["competition_utils"]):
    from competition_utils.augment.strategies import load_strategy
    from competition_utils.data.files import read_table
    from competition_utils.errors import UserError
    from competition_utils.runs.config import load_config
    from competition_utils.submission_check import check_submission
    from competition_utils.tasks import QI
    from competition_utils.translation.lexicon import LexiconTranslator

import pandas as pd

FOLDER = Path(tempfile.mkdtemp())
ROW = {"id": 1, "task": "QI", "language": "en", "origin_query": "shoe", "item_title": "red shoe", "label": 1}
LINE = json.dumps(ROW).encode() + b"\n"
SOURCE = FOLDER / "test_QI.txt"


def parquet_bytes() -> bytes:
    """A table of one row as a parquet file."""
    written = io.BytesIO()
    pd.DataFrame([ROW]).to_parquet(written, index=False)
    return written.getvalue()


def check_lines(path: Path) -> None:
    check_submission(path, {"QI": SOURCE})


# What reads a file, the file's name, and a sound content that the fuzzer's bytes are put into.
READERS: dict[str, tuple[Callable[[Path], object], str, bytes]] = {
    "json_lines": (lambda path: read_table(path, QI), "train_QI.txt", LINE),
    "csv": (lambda path: read_table(path, QI), "train_QI.csv", pd.DataFrame([ROW]).to_csv(index=False).encode()),
    "parquet": (lambda path: read_table(path, QI), "train_QI.parquet", parquet_bytes()),
    "lexicon": (
        LexiconTranslator.from_file,
        "lexicon.tsv",
        b"source_lang\tsource_text\ttarget_lang\ttarget_text\nes\trojo\ten\tred\n",
    ),
    "config": (lambda path: load_config(str(path)), "mine.yaml", b"model: encoder\nencoder:\n  num_train_epochs: 1\n"),
    "strategy": (
        lambda path: load_strategy(str(path)),
        "mine.yaml",
        b"description: mine\nsteps:\n  - step: balance\n",
    ),
    "submission": (check_lines, "submit_QI.txt", json.dumps(ROW | {"prediction": 1}).encode() + b"\n"),
}


def reading(reader: str) -> Callable[[bytes], None]:
    """A function that puts the fuzzer's bytes into the sound content, at the place of the first two, and reads it."""
    read, name, sound = READERS[reader]
    place = FOLDER / name

    def one(content: bytes) -> None:
        at = int.from_bytes(content[:2], "little") % (len(sound) + 1)
        cut = content[2] % 8 if len(content) > 2 else 0
        place.write_bytes(sound[:at] + content[3:] + sound[at + cut :])
        with suppress(UserError):
            read(place)

    return one


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"expected one of {', '.join(READERS)}, found {sys.argv[1:2]}")
    SOURCE.write_bytes(LINE)
    warnings.simplefilter("ignore")
    reader = sys.argv.pop(1)
    atheris.Setup(sys.argv, reading(reader))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
