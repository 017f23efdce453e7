"""What an executed notebook keeps of a text bar, which refreshes its line by a carriage return.

Each text is printed by a cell of its own, all in one notebook: a kernel takes two seconds to start.
"""

from __future__ import annotations

import random
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from competition_utils import paths
from competition_utils.runs.kernel import execute
from competition_utils.runs.parameters import read_notebook

PIECES = ("reading", " 50%|███  |", "100%|██████| 7/7", " ", "été", "a\tb", "rows: 1,000")


def cell_printing(out: str, err: str = "") -> str:
    writes = [f"sys.{name}.write({text!r})" for name, text in (("stdout", out), ("stderr", err)) if text]
    return "\n".join(["import sys", *[f"_ = {write}" for write in writes]])


def streams_after(root: Path, *sources: str) -> list[dict[str, str]]:
    """Name of stream → text, a dict a cell, as the executed notebook of a run holds them."""
    parameters = new_code_cell('run_dir = ""', metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[parameters, *map(new_code_cell, sources)])
    nbformat.write(notebook, paths.notebook_path("finetune"))
    run = root / "papermill_runs" / "x"
    run.mkdir(parents=True, exist_ok=True)
    execute("finetune", run, {"run_dir": "papermill_runs/x"})
    cells = read_notebook(run / "03_finetune.ipynb")[-len(sources) :]
    return [{output["name"]: "".join(output["text"]) for output in cell["outputs"]} for cell in cells]


@pytest.fixture(scope="module")
def kept(shared_project) -> dict[str, dict[str, str]]:
    """The named cases below, printed by one notebook."""
    sources = {
        "a bar": cell_printing("", "\r  0%|   |\r 50%|█  |\r100%|███|"),
        "a bar in a text": cell_printing("before\n 10%\r 20%\r 30%\nafter\n"),
        "plain text": cell_printing("one\ntwo  \n\n\tthree"),
        "line ends of Windows": cell_printing("one\r\ntwo\r\n"),
        "two streams": cell_printing("line 1\rline 2\n", "bar 1\rbar 2\n"),
        "in pieces": "import sys\nfor part in range(5):\n    print(f'\\r{part}', end='', flush=True)\n"
        "    print(part, end=' ', file=sys.stderr, flush=True)",
        "a bar that goes": "from tqdm import tqdm\nfor _ in tqdm(range(3), leave=False, mininterval=0): pass",
        "a bar that stays": "from tqdm import tqdm\nfor _ in tqdm(range(3), desc='rows', mininterval=0): pass",
    }
    return dict(zip(sources, streams_after(shared_project, *sources.values()), strict=True))


def test_a_progress_bar_keeps_its_last_state_only(kept):
    assert kept["a bar"] == {"stderr": "100%|███|"}


def test_lines_before_and_after_a_bar_stay(kept):
    assert kept["a bar in a text"] == {"stdout": "before\n 30%\nafter\n"}


def test_text_without_a_carriage_return_is_untouched(kept):
    assert kept["plain text"] == {"stdout": "one\ntwo  \n\n\tthree"}


def test_a_carriage_return_before_a_line_end_is_a_line_end(kept):
    assert kept["line ends of Windows"] == {"stdout": "one\r\ntwo\r\n"}


def test_the_bar_of_one_stream_leaves_the_other_stream_alone(kept):
    assert kept["two streams"] == {"stdout": "line 2\n", "stderr": "bar 2\n"}


def test_what_comes_in_pieces_and_in_turn_is_one_output_a_stream(kept):
    assert kept["in pieces"] == {"stdout": "4", "stderr": "0 1 2 3 4 "}


def test_a_bar_that_clears_itself_leaves_no_sign(kept):
    assert kept["a bar that goes"] == {}


def test_a_bar_of_tqdm_that_stays_is_one_line_and_full(kept):
    lines = kept["a bar that stays"]["stderr"].splitlines()
    assert len(lines) == 1 and lines[0].startswith("rows: 100%")


def texts(seed: int, count: int) -> list[list[list[str]]]:
    """Texts as lines, lines as the states that a bar goes through."""
    draw = random.Random(seed)
    return [[draw.choices(PIECES, k=draw.randint(1, 4)) for _ in range(draw.randint(1, 4))] for _ in range(count)]


def test_of_every_line_the_last_state_stays_and_nothing_else_changes_when_it_is_printed_again(shared_project):
    """Two laws over sixty texts: what stays is the last state of every line; what stayed once, stays as it is."""
    drawn = texts(seed=0, count=60)
    last_states = ["\n".join(states[-1] for states in lines) for lines in drawn]
    printed = ["\n".join("\r".join(states) for states in lines) for lines in drawn]
    once = [streams.get("stdout", "") for streams in streams_after(shared_project, *map(cell_printing, printed))]
    again = [streams.get("stdout", "") for streams in streams_after(shared_project, *map(cell_printing, once))]
    assert once == [text if text.strip() else "" for text in last_states]  # a stream of blanks goes whole
    assert again == once
