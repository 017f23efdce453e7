"""The controls of notebook 00."""

from __future__ import annotations

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.runs import start


@pytest.fixture
def form(project):
    return start.RunForm(start.choose_data())


def follow(form, script):
    form.command = lambda: [sys.executable, "-c", script]
    form.start()
    form.wait()
    return form


def test_folders_with_official_files_are_offered_after_the_sample(project):
    (project / "data" / "mine").mkdir()
    (project / "data" / "mine" / "train_QC.txt.gz").touch()
    assert start.choose_data().options == ("sample", str(project / "data" / "mine"))


def test_a_folder_that_is_not_there_is_a_message(project):
    with pytest.raises(UserError, match="nowhere"):
        start.check("nowhere")


def test_in_a_notebook_a_message_has_no_traceback(project, capsys):
    shell = InteractiveShell.instance()
    shell.run_cell("from competition_utils.runs import start; start.check('nowhere')")
    shown = capsys.readouterr().out
    assert "nowhere" in shown and "UserError: " in shown and "Traceback" not in shown


def test_the_folder_of_the_parameters_cell_is_offered_first(project):
    field = start.choose_data("mine")
    assert field.value == "mine" and field.options == ("mine", "sample")


def test_the_button_runs_the_command_that_one_would_type(form):
    form.model.value, form.data_dir.value, form.config.value = "linear", "mine", "small"
    expected = "run small --name first -p model=linear --data-dir mine --resume"
    assert form.command()[3:] == expected.split()


def test_the_bar_counts_stages_and_the_link_leads_to_the_report(form):
    (paths.run_folder("first")).mkdir(parents=True)
    (paths.run_folder("first") / "report.html").touch()
    follow(form, "print('eda   0:01'); print('finetune  run again: x'); print('finetune  0:01')")
    assert form.bar.value == 2 and form.bar.bar_style == "success" and not form.button.disabled
    assert 'href="../papermill_runs/first/report.html"' in form.link.value


def test_a_run_that_fails_shows_its_last_lines_as_text_and_no_link(form):
    follow(form, "import sys; print('<b>wrong</b>'); sys.exit(2)")
    assert form.bar.bar_style == "danger" and form.link.value == ""
    assert "&lt;b&gt;wrong" in form.lines.value


def test_without_runs_the_tables_are_a_sentence(project):
    assert "No run" in start.ledger_of_runs().data and "two runs" in start.compare([]).data
