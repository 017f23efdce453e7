from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from competition_utils.runs import ledger


def test_lines_of_several_writers_all_arrive_whole(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.append(path, {"n": n, "text": "x" * 5000}), range(50)))
    assert sorted(entry["n"] for entry in ledger.read(path)) == list(range(50))


def test_a_line_that_a_kill_cut_off_harms_no_other(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, {"n": 1})
    path.write_bytes(path.read_bytes() + b'{"n": 2, "na')
    ledger.append(path, {"n": 3})
    assert [entry["n"] for entry in ledger.read(path)] == [1, 3]


def test_no_ledger_is_an_empty_one(tmp_path):
    assert ledger.read(tmp_path / "none.jsonl") == []


def test_time_is_expected_as_in_the_newest_run_with_the_same_settings():
    entries = [
        {"config": "a", "settings_hash": "1", "seconds": {"eda": 1}},
        {"config": "a", "settings_hash": "1", "seconds": {"eda": 2}},
        {"config": "a", "settings_hash": "2", "seconds": {"eda": 3}},
    ]
    assert ledger.expected_seconds(entries, "a", "1") == {"eda": 2}


def test_without_the_same_settings_time_is_expected_as_in_the_newest_run_of_the_config():
    entries = [{"config": "a", "settings_hash": "1", "seconds": {"eda": 1}}]
    assert ledger.expected_seconds(entries, "a", "9") == {"eda": 1}
    assert ledger.expected_seconds(entries, "b", "9") == {}
