"""Tables to browse: what the page holds, and what is typed into their search field (where Node is installed)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from competition_utils.plots.browse import browsable

EVIL = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"
MISTAKES = pd.DataFrame({"query": ["حذاء", "Red Shoes", "ｒｅｄ lamp"], "score": [0.12345, 1, 0.5]})


class Tags(HTMLParser):
    """Names of all tags, and the text outside of scripts and styles."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag

    def handle_data(self, data):
        self.text += "" if self._inside in ("script", "style") else data


def test_the_table_scrolls_and_each_text_runs_its_own_way():
    page = browsable(MISTAKES, "Mistakes").data
    assert "overflow: auto" in page
    assert "unicode-bidi: plaintext" in page
    assert "0.123" in Tags(page).text


def test_text_is_escaped_wherever_it_stands():
    table = pd.DataFrame({EVIL: [EVIL, "a"]}, index=pd.Index([EVIL, "b"], name=EVIL))
    read = Tags(browsable(table, EVIL).data)
    assert "img" not in read.tags
    assert read.tags.count("script") == 1  # our own
    assert read.text.count(EVIL) == 5  # cell, column, row, name of the index, caption


def test_where_scripts_do_not_run_the_plain_table_is_left_and_no_dead_field():
    page = re.sub(r"<script>.*</script>", "", browsable(MISTAKES, "Mistakes").data, flags=re.DOTALL)
    assert "<input" not in page
    assert "Red Shoes" in page


def test_every_row_has_its_own_names_so_that_it_can_be_hidden_alone():
    table = pd.concat({"QC": MISTAKES, "QI": MISTAKES}, names=["task", "row"])
    page = browsable(table, "Mistakes").data
    assert "rowspan" not in page
    assert page.count(">QC</th>") == 3


def test_rows_may_share_a_name():
    worst = pd.concat({"QC": MISTAKES, "QI": MISTAKES}, names=["task", "row"]).reset_index("task")
    assert browsable(worst, "Mistakes").data.count("Red Shoes") == 2


def test_the_script_looks_for_the_table_of_its_own_page_and_loads_nothing():
    page = browsable(MISTAKES, "Mistakes").data
    name = re.search(r'<table id="(T_\w+)"', page).group(1)
    assert f'getElementById("{name}")' in page
    assert "http" not in page and "src=" not in page


def test_equal_tables_give_equal_bytes_and_others_another_name():
    assert browsable(MISTAKES, "a").data == browsable(MISTAKES.copy(), "a").data
    pages = [browsable(MISTAKES, "a").data, browsable(MISTAKES.iloc[:2], "a").data, browsable(MISTAKES, "b").data]
    assert len({re.search(r'<table id="(T_\w+)"', page).group(1) for page in pages}) == 3


# A document of the parts that the script touches; rows are shown or not, as a browser would.
DOCUMENT = """
const rows = TEXTS.map((textContent) => ({ textContent, style: {} }));
const made = [];
const table = { dataset: {}, tBodies: [{ rows }], before() {} };
const document = {
  getElementById: () => table,
  createElement: () => {
    const element = { style: {}, setAttribute() {}, append() {}, addEventListener: (_, act) => (element.act = act) };
    made.push(element);
    return element;
  },
};
SCRIPT
made[0].value = TYPED;
made[0].act();
console.log(JSON.stringify([rows.map((row) => row.style.display !== "none"), made[1].textContent]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run the script of the page")
@pytest.mark.parametrize(
    ("typed", "shown", "summary"),
    [
        ("", [True, True, True], ""),
        ("red", [False, True, True], "2 of 3 rows"),
        ("SHOES red", [False, True, False], "1 of 3 rows"),
        ("حذاء", [True, False, False], "1 of 3 rows"),
        ("nothing.*", [False, False, False], "0 of 3 rows"),
    ],
)
def test_rows_with_every_word_typed_stay(typed, shown, summary):
    script = re.search(r"<script>(.*)</script>", browsable(MISTAKES, "Mistakes").data, flags=re.DOTALL).group(1)
    texts = {"TEXTS": json.dumps(MISTAKES["query"].tolist()), "TYPED": json.dumps(typed), "SCRIPT": script}
    program = re.sub("TEXTS|TYPED|SCRIPT", lambda name: texts[name.group()], DOCUMENT)
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [shown, summary]
