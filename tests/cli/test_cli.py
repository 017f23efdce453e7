from __future__ import annotations

import pytest

from competition_utils.cli import main as cli
from competition_utils.errors import UserError


@pytest.mark.parametrize("subcommand", cli.subcommands())
def test_every_subcommand_has_help(subcommand, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([subcommand, "--help"])
    assert ended.value.code == 0
    assert subcommand in capsys.readouterr().out


def test_an_unknown_subcommand_is_wrong_input():
    with pytest.raises(SystemExit) as ended:
        cli.main(["runn"])
    assert ended.value.code == 2


def raising(error: BaseException):
    def run(args):
        raise error

    return run


def test_a_user_error_is_a_message_and_status_2(monkeypatch, capsys):
    monkeypatch.setattr("competition_utils.cli.commands.submit.run", raising(UserError("the file is empty")))
    assert cli.main(["submit", "--run", "x"]) == 2
    assert capsys.readouterr().err == "the file is empty\n"


def test_ctrl_c_is_one_line_and_status_130(monkeypatch, capsys):
    monkeypatch.setattr("competition_utils.cli.commands.submit.run", raising(KeyboardInterrupt()))
    assert cli.main(["submit", "--run", "x"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_config_is_status_2(project, capsys):
    assert cli.main(["run", "small", "-p", "sed=1"]) == 2
    assert "did you mean seed?" in capsys.readouterr().err
    assert not (project / "papermill_runs").exists()


def test_a_folder_without_a_stage_is_no_run(project, capsys):
    assert cli.main(["submit", "--run", str(project)]) == 2
    assert "There are: none yet" in capsys.readouterr().err


def test_a_run_that_does_not_exist_cannot_be_submitted(project, capsys):
    assert cli.main(["submit", "--run", "none"]) == 2
    assert "expected a run's name" in capsys.readouterr().err
