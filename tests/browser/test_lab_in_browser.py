"""JupyterLab as a person uses it: Run All Cells in each notebook, in a real browser, on the built-in sample.

Notebook 03 runs with the linear model, typed into its first cell, since the encoder takes minutes; all else is as
in the clone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chromium import open_browser

from competition_utils import paths
from competition_utils.synthetic.competition import make_sample

REPOSITORY = Path(__file__).resolve().parents[2]
ARTEFACTS = REPOSITORY / "build" / "screenshots"
MINUTES = 60_000
NOTEBOOKS = ["00_start.ipynb", *(paths.notebook_name(stage) for stage in paths.STAGES)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "configs"):
        shutil.copytree(REPOSITORY / name, root / name)
    finetune = root / "notebooks" / paths.notebook_name("finetune")
    text = finetune.read_text(encoding="utf-8")
    assert text.count('model = \\"encoder\\"') == 1
    finetune.write_text(text.replace('model = \\"encoder\\"', 'model = \\"linear\\"'), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def server(project, tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab on the project, as `make lab` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--ServerApp.root_dir={project}", "--no-browser", f"--port={port}", "--allow-root"]
    options += ["--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1", "--LabApp.news_url=None"]
    home = tmp_path_factory.mktemp("jupyter")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), paths.ROOT_VARIABLE: str(project)}
    environment |= {"JUPYTER_CONFIG_DIR": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and not answers(address):
            time.sleep(0.5)
        assert answers(address), (home / "log").read_text()
        yield address
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/api", timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with open_browser() as opened:
        yield opened


def open_notebook(browser, server: str, name: str):
    """The page of a notebook alone in JupyterLab, its kernel ready."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{server}/doc/tree/notebooks/{name}?reset")
    page.locator(".jp-Notebook-cell").first.wait_for(timeout=2 * MINUTES)
    page.add_locator_handler(page.locator(".jp-Dialog"), lambda dialog: dialog.locator(".jp-mod-accept").click())
    page.wait_for_timeout(3000)  # JupyterLab may ask for the kernel; a person takes the one that it offers
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=2 * MINUTES)
    return page


def run_all(page) -> None:
    """Run → Run All Cells by the menu, until every code cell has its number and the kernel is idle."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    page.wait_for_timeout(3000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=8 * MINUTES)


def errors(page) -> list[str]:
    return page.locator("[data-mime-type='application/vnd.jupyter.error']").all_text_contents()


def choose_folder(page, folder: Path) -> None:
    field = page.locator(".widget-text input").first
    field.fill(str(folder))
    field.press("Enter")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all_ends_without_an_error_and_shows_its_figures(browser, server, project, name):
    page = open_notebook(browser, server, name)
    run_all(page)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"lab_{name.removesuffix('.ipynb')}.png")
    assert errors(page) == []
    if name == NOTEBOOKS[0]:
        assert page.locator(".jupyter-widgets").count() > 0
    else:
        stage = paths.STAGES[NOTEBOOKS.index(name) - 1]
        assert (project / "papermill_runs" / "manual" / stage / "manifest.json").is_file()
        page.keyboard.press("Control+End")
        assert page.locator(".jp-OutputArea-output img").count() > 0
    page.close()


def test_a_field_that_is_changed_changes_the_cell_that_is_run_again(browser, server, project):
    other = project / "data" / "mine"
    other.mkdir(parents=True)
    for file in next((project / ".cache").glob("sample-*")).glob("*QC.txt*"):
        shutil.copy(file, other)
    page = open_notebook(browser, server, NOTEBOOKS[0])
    run_all(page)
    choose_folder(page, other)
    checks = page.locator(".jp-CodeCell").filter(has_text="start.check(")
    assert "train_QI.txt" in checks.locator(".jp-OutputArea").inner_text()
    checks.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    checks.get_by_text("not there").first.wait_for(timeout=MINUTES)
    page.close()


def test_start_the_run_ends_with_a_report_that_a_link_opens(browser, server, project):
    tiny = project / "data" / "tiny"
    make_sample(tiny, rows=200, dev_rows=100, test_rows=100)
    page = open_notebook(browser, server, NOTEBOOKS[0])
    run_all(page)
    choose_folder(page, tiny)
    page.locator(".widget-dropdown").filter(has_text="model").locator("select").select_option("linear")
    name = page.locator(".widget-text").filter(has_text="name of the run").locator("input")
    name.fill("clicked")
    name.press("Enter")
    page.get_by_role("button", name="Start the run").click()
    link = page.get_by_role("link", name="Open the report of run clicked")
    link.wait_for(timeout=10 * MINUTES)
    page.screenshot(path=ARTEFACTS / "lab_run_ended.png")
    assert page.locator(".widget-hprogress").get_by_text("5 of 5 stages").count() == 1
    assert page.get_by_role("button", name="Start the run").is_enabled() and errors(page) == []
    run = project / "papermill_runs" / "clicked"
    assert (project / "submissions" / "clicked" / "submit.zip").is_file()
    assert f"data_dir: {tiny.relative_to(project)}" in (run / "run.yaml").read_text(encoding="utf-8")
    with page.expect_popup() as opened:
        link.click()
    viewer = opened.value.frame_locator("iframe")  # JupyterLab's, of HTML
    viewer.get_by_role("heading", name="Run clicked").wait_for(timeout=MINUTES)
    page.close()
