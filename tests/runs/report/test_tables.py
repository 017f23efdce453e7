"""The table of runs that the ledger, `compare` and their pages show."""

from __future__ import annotations

import pandas as pd
import pytest

from competition_utils.runs.report.tables import cell, device_hours, print_table, runs_table


def entry(name: str, **more) -> dict:
    settings = {
        "finetune": {"model": "linear", "seed": 0, "linear": {"C": 0.5}, "decoder": {"lora_r": more.pop("r", 8)}}
    }
    settings["finetune"] |= more.pop("settings", {})
    figures = {"f1": {"QC": 0.8}, "f1_mean": 0.8, "seconds": {"eda": 30.0, "finetune": 60.0}, "device": "2 CPUs"}
    return {"name": name, **figures, "versions": {"torch": "2.14.1"}, "settings": settings, **more}


def test_what_is_the_same_in_all_runs_has_no_column():
    table = runs_table([entry("a"), entry("b", settings={"seed": 1})])
    assert table.same["model"] == "linear" and table.same["versions"] == "torch 2.14.1"
    assert table.frame["seed"].tolist() == [0, 1] and "model" not in table.frame


def test_a_setting_that_one_run_changed_is_named_in_its_row():
    table = runs_table([entry("a"), entry("b", settings={"linear": {"C": 2.0}}), entry("c")])
    assert table.frame["other settings"].dropna().to_dict() == {"b": "linear.C=2.0"}


def test_settings_of_a_model_that_no_run_has_do_not_differ():
    assert "other settings" not in runs_table([entry("a", r=8), entry("b", r=16)]).frame


def test_entries_of_earlier_releases_without_settings_have_their_figures():
    old = {"name": "old", "f1": {"QC": 0.7}, "f1_mean": 0.7, "seconds": {"eda": 36.0}, "device": "1 CPUs"}
    frame = runs_table([old, entry("new")]).frame
    assert frame.loc["old", ["mean F1", "seconds", "CPU hours"]].tolist() == [0.7, 36, 0.01]


@pytest.mark.parametrize(
    ("device", "cost"), [("4 CPUs", ("CPU", 4.0)), ("NVIDIA H100, 81559 MiB; NVIDIA H100, 81559 MiB", ("GPU", 2.0))]
)
def test_device_hours_are_devices_held_for_the_time(device, cost):
    assert device_hours(device, 3600) == cost


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (1234, "1,234"),
        (1234.0, "1,234"),
        (1.0, "1.0000"),
        (0.86214, "0.8621"),
        ("[bold]", "[bold]"),
    ],
)
def test_a_cell_shows_a_value_or_a_dash(value, shown):
    assert cell(value) == shown


def test_a_table_in_a_pipe_is_not_cut_and_markup_in_names_is_text(capsys):
    name = "[red]a run of a long name[/red] " * 4
    print_table(pd.DataFrame({"F1": [0.5]}, index=pd.Index([name], name="run")), {"config": "sample"})
    printed = capsys.readouterr().out
    assert name.strip() in printed and "the same in all: config sample" in printed
