"""The help of each subcommand shows what it really prints."""

from __future__ import annotations

import pytest
from cli.printed_now import CALL, COSTLY, MOST_LINES, all_outputs, shape

from competition_utils.cli import main as cli
from competition_utils.cli import printed

RENEW = "renew it: python tests/cli/printed_now.py"
BY_MACHINE = ("models", "ledger")  # what is installed here; how many runs were made before


@pytest.mark.parametrize("name", cli.subcommands())
def test_the_help_shows_a_command_and_what_it_printed(name, capsys):
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    shown = capsys.readouterr().out
    command, *lines = printed.printed_by(name).splitlines()
    assert command.startswith(CALL + name) and 1 <= len(lines) <= MOST_LINES
    assert all(line.strip() in shown for line in (command, *lines))


def differing(now: dict[str, str]) -> list[str]:
    compared = {name: text for name, text in now.items() if name not in BY_MACHINE}
    return [name for name, text in compared.items() if shape(text) != shape(printed.printed_by(name))]


def test_the_cheap_ones_still_print_that():
    now = all_outputs(costly=False)
    assert now.keys() == cli.subcommands().keys() - set(COSTLY)
    assert differing(now) == [], RENEW


@pytest.mark.soak
def test_all_still_print_that():
    now = all_outputs()
    assert now.keys() == cli.subcommands().keys()
    assert differing(now) == [], RENEW


def test_numbers_may_differ_and_words_may_not():
    assert shape("12 rows  3.5 s, hash 1a2b3c4d") == shape("7 rows 10.25 s, hash 99999999")
    assert shape("12 rows") != shape("12 lines")


def test_a_file_of_sections_reads_as_it_was_written():
    sections = {"a": "$ a\n=\n\n== b", "b": "$ b\nx"}
    assert printed.parse(printed.render(sections)) == sections
