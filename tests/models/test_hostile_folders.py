"""Model folders made by somebody who wants code to run: nothing but weights is taken from them."""

import json
import os
import pickle
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from tiny_decoders import build_tiny, toy_settings

from competition_utils.errors import UserError
from competition_utils.models.base import load_model, new_model

MARK = "MARK_OF_HOSTILE_CODE"
CODE = f"import os\nos.environ[{MARK!r}] = '1'\nclass Hostile: pass\n"
CLASSES = ("AutoConfig", "AutoTokenizer", "AutoModelForSequenceClassification", "AutoModelForCausalLM")


@pytest.fixture(autouse=True)
def nothing_ran(monkeypatch, tmp_path):
    """Code sets a variable of the environment, a pickle makes a folder."""
    monkeypatch.delenv(MARK, raising=False)
    yield
    assert MARK not in os.environ and not (tmp_path / MARK).exists()


def hostile_pickle(place: Path) -> bytes:
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(place / MARK),)

    return pickle.dumps({"weight": Hostile()})


def with_code(folder: Path) -> Path:
    """The folder's configurations ask for classes of a module beside them."""
    (folder / "hostile.py").write_text(CODE)
    for path in folder.glob("*config.json"):
        content = json.loads(path.read_text())
        content["auto_map"] = dict.fromkeys(CLASSES, "hostile.Hostile")
        content["auto_mapping"] = {"base_model_class": "Hostile", "parent_library": "hostile"}
        path.write_text(json.dumps(content))
    return folder


def without_safetensors(folder: Path, weights: str, place: Path) -> Path:
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    (folder / weights).write_bytes(hostile_pickle(place))
    return folder


@pytest.fixture
def encoder(tiny_encoder, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))


@pytest.fixture
def decoder(tmp_path) -> Path:
    return build_tiny(tmp_path / "decoder", "qwen2")


def test_the_pickle_of_these_tests_would_leave_its_mark(tmp_path):
    (tmp_path / "other").mkdir()
    pickle.loads(hostile_pickle(tmp_path / "other"))
    assert (tmp_path / "other" / MARK).exists()


def test_code_beside_an_encoder_is_not_run(encoder):
    with suppress(UserError):
        new_model("encoder", {"model_name_or_path": str(with_code(encoder))}).load_base_model()


def test_pickled_weights_of_an_encoder_are_refused(encoder, tmp_path):
    folder = without_safetensors(encoder, "pytorch_model.bin", tmp_path)
    with pytest.raises(UserError):
        new_model("encoder", {"model_name_or_path": str(folder)}).load_base_model()


def test_code_beside_a_decoder_is_not_run(decoder):
    model = new_model("decoder", toy_settings(with_code(decoder)))
    with suppress(UserError):
        model.load_base_model()
        _ = model.tokenizer


def test_pickled_weights_of_a_decoder_are_refused(decoder, tmp_path):
    folder = without_safetensors(decoder, "pytorch_model.bin", tmp_path)
    with pytest.raises(UserError):
        new_model("decoder", toy_settings(folder)).load_base_model()


def test_an_adapter_folder_gives_weights_and_nothing_else(decoder, tmp_path):
    from competition_utils.models.decoder.load import load_adapter, save_label_rows

    model = new_model("decoder", toy_settings(decoder))
    network = model.add_adapter(model.load_base_model(), 0)
    folder = tmp_path / "adapter"
    network.save_pretrained(folder)
    save_label_rows(network, folder, None)
    load_adapter(network, with_code(folder))
    with pytest.raises(UserError):
        load_adapter(network, without_safetensors(folder, "adapter_model.bin", tmp_path))


def test_a_fitted_model_to_which_code_was_added_is_refused(encoder, tmp_path):
    model = new_model("encoder", {"model_name_or_path": str(encoder)})
    model.network = model.load_base_model()
    (tmp_path / "fitted").mkdir()
    model.save(tmp_path / "fitted")
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(with_code(tmp_path / "fitted"))
