"""`report.html` and the page of a comparison as people open them: on a laptop, on a phone, light, dark, and offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chromium import open_browser
from conftest import METRICS
from matplotlib.figure import Figure

from competition_utils import paths
from competition_utils.runs.report.page import write_report, write_runs_page
from competition_utils.runs.report.tables import runs_table
from competition_utils.storage import write_text

ARTEFACTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"  # ignored by git
WIDTHS = {"laptop": 1280, "phone": 390}
SCHEMES = ("light", "dark")
HOSTILE = '<script>document.title = "run"</script>'
TEXTS = ("เสื้อผ้า", "ワンピース", "원피스", "فستان أحمر", HOSTILE)

every_view = pytest.mark.parametrize("scheme", SCHEMES)
every_page = pytest.mark.parametrize("name", ["report", "comparison"])


def languages() -> dict:
    figures = METRICS["tasks"]["QC"] | {"f1_interval": [0.7, 0.9], "linear_f1": 0.78, "auc": 0.8}
    seen = {code: {**figures, "f1": 0.6 + 0.02 * at, "seen": at % 2 == 0} for at, code in enumerate("abcdefghijkl")}
    return {**figures, "by_language": {f"l{code}": row for code, row in seen.items()}, "measured_on": "dev"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Iterator[dict[str, Path]]:
    """A run with a figure a stage and text in many scripts, and a page of two runs."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        run = root / "papermill_runs" / "first"
        figure = Figure(figsize=(9, 3))
        figure.subplots().plot([1, 3, 2])
        for stage in paths.STAGES:
            (run / stage / "figures").mkdir(parents=True)
            for suffix in ("png", "svg"):
                figure.savefig(run / stage / "figures" / f"curve.{suffix}")
        metrics = {"tasks": {"QC": languages(), "QI": languages()}, "f1_mean": 0.8, "seconds": {"eda": 61.0}}
        write_text(
            run / "run.yaml", "config: small\ndevice: 2 CPUs\nsettings: {finetune: {}, augmentation: {}, eda: {}}\n"
        )
        report = write_report(run, metrics, {"eda": {f"setting_{at}": text for at, text in enumerate(2 * TEXTS)}})
        f1 = {HOSTILE: 0.8, "b": 0.9, "c": 0.1}
        entries = [{"name": name, "f1": {"QC": value}, "f1_mean": value} for name, value in f1.items()]
        yield {"report": report, "comparison": write_runs_page(root / "runs.html", "Runs", runs_table(entries))}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def open_page(browser, pages):
    """A function that opens a page by name and lists what the browser complained about in `complaints`."""
    opened = []

    def open_(name: str, width: int = 1280, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.append(page)
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url) if "http" in request.url[:5] else None)
        page.goto(pages[name].as_uri())
        return page

    yield open_
    for page in opened:
        page.close()


def open_details(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@every_page
@every_view
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_fits_the_width_and_leaves_a_screenshot(open_page, name, scheme, width):
    page = open_page(name, WIDTHS[width], scheme)
    open_details(page)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}_{width}_{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert page.complaints == []


@every_page
@every_view
def test_axe_finds_no_serious_fault(open_page, name, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed: see the extra `test`")
    page = open_page(name, scheme=scheme)
    open_details(page)
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    faults = page.evaluate("axe.run()")["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []


def test_text_is_shown_as_it_is_and_runs_nothing(open_page):
    page = open_page("report")
    assert page.title() == "Run first: mean F1 0.8000"
    shown = page.locator("#settings").text_content()
    assert [text for text in TEXTS if text not in shown] == []


def test_a_table_is_sorted_by_a_click_on_its_head_and_back_by_another(open_page):
    page = open_page("comparison")
    head = page.get_by_role("button", name="mean F1")
    orders = []
    for _ in range(2):
        head.click()
        orders.append(page.locator("table.data tbody td:nth-child(2)").all_text_contents())
    assert orders == [["0.1000", "0.8000", "0.9000"], ["0.9000", "0.8000", "0.1000"]]


def test_a_search_keeps_the_rows_with_every_word(open_page):
    page = open_page("report")
    page.goto(f"{page.url}#settings")
    page.get_by_label("search in Every setting of every stage").fill("원피스")
    assert page.locator("#settings tbody tr:visible").count() == 2


def test_a_link_of_the_contents_opens_the_details_it_leads_to(open_page):
    page = open_page("report")
    page.get_by_role("navigation").get_by_text("EDA").click()
    assert page.locator("details#eda").get_attribute("open") is not None


def test_every_figure_has_a_text_in_its_place_and_is_loaded(open_page):
    page = open_page("report")
    open_details(page)
    images = page.locator("img")
    assert images.count() == len(paths.STAGES)
    assert images.evaluate_all("all => all.every((each) => each.alt && each.complete && each.naturalWidth > 0)")
