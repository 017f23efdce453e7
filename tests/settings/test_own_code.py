"""`python:MODULE:NAME` imports what the user's own settings name, and nothing else does."""

from __future__ import annotations

import re
import sys

import pytest

from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.models.base import OWN, RelevanceModel, load_model, new_model, register_model
from competition_utils.models.linear import LinearModel
from competition_utils.settings.own_code import own_code, own_files
from competition_utils.storage import write_sealed_json
from competition_utils.translation.open import open_translator

MODEL = "from competition_utils.models.linear import LinearModel\nclass Mine(LinearModel):\n    pass\n"


@pytest.fixture
def module(project, monkeypatch):
    """A function that writes a module into the project's folder; what was imported of them is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    written = []

    def write(name: str, text: str) -> None:
        (project / f"{name}.py").write_text(text, encoding="utf-8")
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)
    OWN.clear()


def test_a_module_in_the_projects_folder_is_found_from_anywhere(module, tmp_path_factory, monkeypatch):
    module("own_words", "def count(text):\n    return len(text)\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert own_code("python:own_words:count")("abc") == 3


def test_it_hides_no_module_of_python(module):
    module("json", "raise SystemExit('imported')\n")
    assert own_code("python:json:dumps")([]) == "[]"


@pytest.mark.parametrize(
    "choice",
    ["python:", "python:os", "python::x", "python:a b:c", "python:os:system()", "python:../x:y", "python:os:a.b"],
)
def test_another_text_is_a_message(module, choice):
    with pytest.raises(UserError, match=re.escape("python:MODULE:NAME")):
        own_code(choice)


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("python:own_nowhere:Mine", "No module named 'own_nowhere'"),
        ("python:own_broken:Mine", "No module named 'missing_package'"),
        ("python:own_model:Missing", "nothing called Missing"),
        ("python:own_model:LinearModel.kind", "another text"),
        ("python:own_words:count", "something else called count"),
    ],
)
def test_what_is_no_model_is_a_message(module, choice, found):
    module("own_broken", "import missing_package\n")
    module("own_model", MODEL)
    module("own_words", "def count(text):\n    return len(text)\n")
    with pytest.raises(UserError, match=re.escape(found)):
        new_model(choice, {})


def test_a_translator_that_is_none_is_a_message(module, tmp_path):
    module("own_model", MODEL)
    with pytest.raises(UserError, match=r"subclass of competition_utils\.translation\.interface\.Translator"):
        open_translator("python:own_model:Mine", tmp_path)


@pytest.mark.parametrize("setting", ["translator=python:own_nowhere:X", "model=python:own_nowhere:X",
                                     "own_metrics=[python:own_nowhere:x]"])  # fmt: skip
def test_a_config_that_names_what_is_not_there_is_refused_before_anything_runs(project, capsys, setting):
    assert cli.main(["run", "small", "-p", setting]) == 2
    assert "own_nowhere" in capsys.readouterr().err
    assert not (project / "papermill_runs").exists()


@pytest.mark.parametrize("setting", ["model=python:os", "model=python:os:system()", "own_metrics=[os:system]"])
def test_a_setting_that_names_no_code_is_wrong_input(project, capsys, setting):
    assert cli.main(["run", "small", "-p", setting]) == 2
    assert setting.partition("=")[0] in capsys.readouterr().err


def saved(folder, kind: str):
    write_sealed_json(folder / "model.json", {"kind": kind, "settings": {}, "files": {}})
    return folder


def test_a_models_folder_imports_nothing_that_it_names(module, project, tmp_path):
    module("own_trap", f"open({str(project / 'sprung')!r}, 'w')\n")
    with pytest.raises(UserError, match="Code of your own is not run"):
        load_model(saved(tmp_path, "python:own_trap:Mine"))
    assert not (project / "sprung").exists() and "own_trap" not in sys.modules


def test_a_registered_class_loads_its_models(module, tmp_path):
    class Mine(LinearModel):
        @classmethod
        def load(cls, folder, overrides=None):
            return cls()

    register_model("mine", Mine)
    assert isinstance(load_model(saved(tmp_path, "mine")), Mine) and new_model("mine", {}).kind == "mine"


@pytest.mark.parametrize("kind", ["linear", "encoder", "decoder"])
def test_the_kinds_of_the_suite_stay_its_own(module, kind):
    with pytest.raises(UserError, match="a name of your own"):
        register_model(kind, RelevanceModel)


def test_the_files_behind_settings_are_those_of_the_modules_named(module, project):
    module("own_model", MODEL)
    values = {"model": "python:own_model:Mine", "own_metrics": ["python:own_nowhere:x"], "seed": 1, "task": "QC"}
    assert list(own_files(values)) == [project / "own_model.py"]
