from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competition_utils.cli.main import main
from competition_utils.errors import DataError, UserError
from competition_utils.submission_check import check_submission, find_sources
from competition_utils.submit import write_submission
from competition_utils.tasks import TASKS

FIELDS_FAULT = "fields other than id, language, origin_query, category_path, prediction"
ROWS = {
    "QC": [
        {
            "id": 7,
            "task": "QC",
            "language": "ar",
            "origin_query": "nan",
            "category_path": "food（spe）",
            "label": 0,
        },
        {
            "id": 2,
            "task": "QC",
            "language": "it",
            "origin_query": 'a\u2028"c"',
            "category_path": "bag",
            "label": 1,
        },
    ],
    "QI": [
        {"id": 1, "task": "QI", "language": "vn", "origin_query": "null", "item_title": None},
        {"id": 2, "task": "QI", "language": "de", "origin_query": " Schuhe ", "item_title": "รองเท้า/\\n"},
        {"id": 3, "task": "QI", "language": "pl", "origin_query": "buty", "item_title": "null"},
    ],
}


def write_sources(folder: Path, rows: dict[str, list[dict]] = ROWS) -> dict[str, Path]:
    sources = {name: folder / TASKS[name].file_name("test") for name in rows}
    for name, path in sources.items():
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[name]), encoding="utf-8")
    return sources


def decide(rows: dict[str, list[dict]] = ROWS, shuffle_seed: int = 0) -> dict[str, pd.DataFrame]:
    """Every even id is relevant; rows in another order than the source's."""
    ids = {name: pd.Series([row["id"] for row in rows[name]]) for name in rows}
    return {
        name: pd.DataFrame({"id": i, "prediction": 1 - i % 2, "score": np.float32(0.25)}).sample(
            frac=1, random_state=shuffle_seed
        )
        for name, i in ids.items()
    }


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    """The folder of a good submission, and the sources it answers."""
    sources = write_sources(tmp_path)
    write_submission(tmp_path / "out", decide(), sources)
    return tmp_path / "out", sources


def kinds(path: Path, sources: dict[str, Path]) -> set[str]:
    return {fault.kind for fault in check_submission(path, sources)}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_lines_are_those_of_the_competitions_example(written):
    folder, _ = written
    assert (folder / "submit_QC.txt").read_text(encoding="utf-8").split("\n") == [
        '{"id": 7, "language": "ar", "origin_query": "nan", "category_path": "food（spe）", "prediction": 0}',
        '{"id": 2, "language": "it", "origin_query": "a\u2028\\"c\\"", "category_path": "bag", "prediction": 1}',
        "",
    ]


def test_a_null_title_stays_null_and_a_title_that_reads_null_stays_text(written):
    folder, _ = written
    lines = (folder / "submit_QI.txt").read_text(encoding="utf-8").strip().split("\n")
    assert [json.loads(line)["item_title"] for line in lines] == [None, "รองเท้า/\\n", "null"]


def test_the_csv_has_scores_and_the_sources_order(written):
    table = pd.read_csv(written[0] / "submission_QC.csv", keep_default_na=False)
    assert list(table) == ["id", "language", "origin_query", "category_path", "prediction", "score"]
    assert table["id"].tolist() == [7, 2]
    assert table["origin_query"].tolist() == ["nan", 'a\u2028"c"']


def test_the_zip_holds_the_two_files_as_they_are(written):
    folder, _ = written
    with zipfile.ZipFile(folder / "submit.zip") as archive:
        assert archive.namelist() == ["submit_QC.txt", "submit_QI.txt"]
        assert archive.read("submit_QI.txt") == (folder / "submit_QI.txt").read_bytes()


def test_equal_decisions_make_equal_bytes(written, tmp_path):
    folder, sources = written
    write_submission(tmp_path / "again", decide(shuffle_seed=1), sources)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()
    }


@pytest.mark.parametrize("part", ["", "submit.zip"])
def test_what_was_written_passes_the_check(written, part):
    folder, sources = written
    assert check_submission(folder / part, sources) == []


any_text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(any_text, any_text, st.booleans()), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_is(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    source = [
        {
            "id": n,
            "task": "QI",
            "language": "en",
            "origin_query": query,
            "item_title": None if null else title,
        }
        for n, (query, title, null) in enumerate(rows)
    ]
    sources = write_sources(folder, {"QI": source})
    write_submission(folder, decide({"QI": source}), sources)
    assert check_submission(folder, sources) == []


def test_a_row_without_a_decision_is_a_failure_and_never_0(tmp_path):
    decisions = {**decide(), "QC": decide()["QC"].query("id != 7")}
    with pytest.raises(DataError, match=r"(?s)row without a prediction: 1.*id 7"):
        write_submission(tmp_path / "out", decisions, write_sources(tmp_path))
    assert not (tmp_path / "out" / "submit.zip").exists()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"prediction": [0, 2]}, "prediction other than 0 or 1"),
        ({"prediction": [0, None]}, "prediction other than 0 or 1"),
        ({"score": [0.5, None]}, "missing score"),
        ({"id": [7, 7]}, "several predictions for one row"),
        ({"id": [7, 9]}, "prediction for a row that the source does not have"),
    ],
)
def test_decisions_that_do_not_answer_the_source_are_refused(tmp_path, change, kind):
    decisions = {
        **decide(),
        "QC": pd.DataFrame({"id": [7, 2], "prediction": [0, 1], "score": 0.5}).assign(**change),
    }
    with pytest.raises(DataError, match=kind):
        write_submission(tmp_path / "out", decisions, write_sources(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('"prediction": 1', '"prediction": 2', "prediction other than 0 or 1"),
        ('"prediction": 1', '"prediction": true', "prediction other than 0 or 1"),
        ('"prediction": 1', '"prediction": "1"', "prediction other than 0 or 1"),
        ('"prediction": 1', '"prediction": null', "prediction other than 0 or 1"),
        ('"id": 7', '"id": 8', "id that the source does not have"),
        ('"id": 7', '"id": 2', "id given twice"),
        ('"nan"', "NaN", "not a JSON object"),
        ('"nan"', '"nan "', "origin_query other than in the source"),
        ('"language": "ar"', '"language": "it"', "language other than in the source"),
        (', "prediction": 1', "", FIELDS_FAULT),
        ('"id": 7', '"task": "QC", "id": 7', FIELDS_FAULT),
        ('{"id": 2', '\n{"id": 2', "not a JSON object"),
    ],
)
def test_the_check_names_each_fault(written, old, new, kind):
    folder, sources = written
    edit(folder / "submit_QC.txt", old, new)
    assert kind in kinds(folder / "submit_QC.txt", {"QC": sources["QC"]})


def test_lines_in_another_order_are_a_fault(written):
    folder, sources = written
    lines = (folder / "submit_QC.txt").read_text(encoding="utf-8").strip().split("\n")
    (folder / "submit_QC.txt").write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    assert kinds(folder / "submit_QC.txt", {"QC": sources["QC"]}) == {"order other than the source's"}


def test_a_line_left_out_is_a_fault(written):
    folder, sources = written
    lines = (folder / "submit_QC.txt").read_text(encoding="utf-8").strip().split("\n")
    (folder / "submit_QC.txt").write_text(lines[0] + "\n", encoding="utf-8")
    assert kinds(folder / "submit_QC.txt", {"QC": sources["QC"]}) == {"row without a prediction"}


@pytest.mark.parametrize("name", ["submit_QI.txt", "submission_QC.csv", "submit.zip"])
def test_a_folder_must_hold_every_file(written, name):
    folder, sources = written
    (folder / name).unlink()
    assert "missing file" in kinds(folder, sources)


def test_a_zip_of_other_lines_than_those_beside_it_is_a_fault(written):
    folder, sources = written
    edit(folder / "submit_QC.txt", '"prediction": 1', '"prediction": 0')
    assert {"zip content", "CSV differs"} <= kinds(folder, sources)


def test_a_zip_with_one_task_or_with_more_is_a_fault(written, tmp_path):
    folder, sources = written
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.write(folder / "submit_QC.txt", "submit_QC.txt")
        archive.writestr("notes.md", "")
    found = {fault.found for fault in check_submission(tmp_path / "odd.zip", sources)}
    assert found == {"no submit_QI.txt", "notes.md does not belong there"}


def test_a_run_of_one_task_is_checked_for_that_task(tmp_path):
    sources = {"QI": write_sources(tmp_path)["QI"]}
    write_submission(tmp_path / "out", decide(), sources)
    assert check_submission(tmp_path / "out", sources) == []


def test_sources_are_found_in_a_data_folder(written, tmp_path):
    assert find_sources([tmp_path], "test", written[0]) == written[1]


def test_a_folder_needs_the_sources_of_both_tasks(written):
    with pytest.raises(UserError, match="found none of QI"):
        find_sources([written[1]["QC"]], "test", written[0])


def test_the_subcommand_says_1_for_a_bad_submission_and_0_for_a_good_one(written, tmp_path, capsys):
    folder, _ = written
    arguments = ["check-submission", str(folder), "--source", str(tmp_path)]
    assert main(arguments) == 0
    edit(folder / "submit_QC.txt", '"prediction": 1', '"prediction": 0')
    assert main(arguments) == 1
    assert "zip content: 1" in capsys.readouterr().out


def test_the_subcommand_says_2_where_there_is_no_submission(written, tmp_path):
    assert main(["check-submission", str(tmp_path / "none"), "--source", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    "content", [b"", b"id,score\n2,0.5\n", b'id,prediction\n2,"1\n', b"\xff\xfe\x00id", b"id;prediction\n2;1\n"]
)
def test_a_csv_that_is_no_table_of_predictions_is_a_fault(written, content):
    folder, sources = written
    (folder / "submission_QC.csv").write_bytes(content)
    assert "CSV content" in kinds(folder, sources)
