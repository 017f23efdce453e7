"""The controls of notebook 00: choose data, start a run and follow it, open its report, compare runs."""

from __future__ import annotations

import html
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence

import ipywidgets as widgets
from IPython.display import HTML

from competition_utils import paths
from competition_utils.data.check import check_folder, format_report
from competition_utils.plots.browse import browsable
from competition_utils.runs import ledger
from competition_utils.runs.comparing import compare_runs, comparison_tables
from competition_utils.runs.kernel import kernel_environment
from competition_utils.runs.report.tables import runs_table
from competition_utils.synthetic.folder import data_folder
from competition_utils.tasks import TASKS

LINES_SHOWN = 8
WIDE = {"description_width": "8rem"}


def choose_data(data_dir: str = paths.BUILT_IN_SAMPLE) -> widgets.Combobox:
    """A field for `data_dir`, which comes first; the built-in sample, a folder found in data/ or ../shared/data, or any
    path typed."""
    root = paths.work_root()
    places = (root / "data", root.parent / "shared" / "data")
    found = sorted(file.parent for place in places for file in place.glob("*/train_QC.txt*"))
    options = list(dict.fromkeys([data_dir, paths.BUILT_IN_SAMPLE, *map(str, found)]))
    layout = widgets.Layout(width="42rem")
    return widgets.Combobox(value=options[0], options=options, description="data folder", style=WIDE, layout=layout)


def check(data_dir: str) -> None:
    """Print what `check-data` says of the folder; raises UserError where there is none."""
    print(format_report(check_folder(data_folder(data_dir))))


class RunForm(widgets.VBox):
    """Config, name and a button that starts the run as a process of its own, so that the notebook stays free.

    `wait()` blocks until the run ended; `status` is the process's exit status then.
    """

    def __init__(self, data_dir: widgets.ValueWidget) -> None:
        configs = sorted(path.stem for path in (paths.project_root() / "configs").glob("*.yaml"))
        first = "sample" if "sample" in configs else None
        self.data_dir = data_dir
        self.config = widgets.Dropdown(options=configs, value=first, description="config", style=WIDE)
        self.model = widgets.Dropdown(
            options=["as in the config", "linear", "encoder", "decoder"], description="model", style=WIDE
        )
        self.name = widgets.Text(value="first", description="name of the run", style=WIDE)
        self.button = widgets.Button(description="Start the run", button_style="primary", icon="play")
        self.bar = widgets.IntProgress(
            max=len(paths.STAGES), description=f"0 of {len(paths.STAGES)} stages", style=WIDE
        )
        self.lines, self.link = widgets.HTML(), widgets.HTML()
        self.status: int | None = None
        self.button.on_click(lambda _: self.start())
        super().__init__([self.config, self.model, self.name, self.button, self.bar, self.lines, self.link])

    def command(self) -> list[str]:
        """The same command as in a terminal; a run of this name that was stopped goes on."""
        command = [sys.executable, "-m", "competition_utils", "run", self.config.value, "--name", self.name.value]
        if self.model.value in ("linear", "encoder", "decoder"):
            command += ["-p", f"model={self.model.value}"]
        if self.data_dir.value != paths.BUILT_IN_SAMPLE:
            command += ["--data-dir", self.data_dir.value]
        return [*command, "--resume"]

    def start(self) -> None:
        self.button.disabled, self.bar.value, self.bar.bar_style, self.link.value = True, 0, "", ""
        self.process = subprocess.Popen(
            self.command(),
            cwd=paths.work_root(),
            env=kernel_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def wait(self) -> None:
        self.thread.join()

    def _follow(self) -> None:
        last: deque[str] = deque(maxlen=LINES_SHOWN)
        for line in self.process.stdout or ():
            last.append(line.rstrip())
            if line.startswith(paths.STAGES) and "run again" not in line:
                self.bar.value = min(self.bar.value + 1, self.bar.max)
                self.bar.description = f"{self.bar.value} of {self.bar.max} stages"
            self.lines.value = f"<pre>{html.escape(chr(10).join(last))}</pre>"
        self.status = self.process.wait()
        self.bar.bar_style = "danger" if self.status else "success"
        self.link.value = "" if self.status else report_link(self.name.value)
        self.button.disabled = False


def report_link(name: str) -> str:
    """A link to a run's report, for a notebook in `notebooks/`; text where there is none yet."""
    if not (paths.run_folder(name) / "report.html").is_file():
        return f"Run {html.escape(name)} has no report yet: start it above."
    place = html.escape(f"../papermill_runs/{name}/report.html", quote=True)
    style = "color: var(--jp-content-link-color, #0b5cad); text-decoration: underline"  # in widgets links are plain
    return f'<a href="{place}" target="_blank" style="{style}">Open the report of run {html.escape(name)}</a>'


def report(name: str) -> HTML:
    return HTML(report_link(name))


def ledger_of_runs() -> HTML:
    """Every finished run in one table to search; a sentence where there is none yet."""
    entries = ledger.read(paths.ledger_path())
    return browsable(runs_table(entries).frame, "All runs") if entries else HTML("No run ended yet.")


def choose_runs() -> widgets.SelectMultiple:
    """The runs whose report is there, to choose from; the first two are chosen."""
    names = sorted(page.parent.name for page in paths.run_folder(".").glob("*/report.html"))
    return widgets.SelectMultiple(options=names, value=names[:2], description="runs", style=WIDE, rows=8)


def compare(names: Sequence[str], resamples: int = 1000) -> HTML:
    """The paired comparison of runs with the first one: caption → table; a sentence for fewer than two."""
    if len(names) < 2:
        return HTML("Choose two runs or more (hold Ctrl), then run this cell again.")
    tasks = compare_runs([paths.run_folder(name) for name in names], list(TASKS), resamples=resamples, seed=0)
    tables = comparison_tables(tasks).items()
    return HTML("".join(browsable(table, caption).data for caption, table in tables))
