"""A model goes to the Hub as it was saved, private, with a card; nothing of the token is kept or shown."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

from competition_utils.cli import main as cli
from competition_utils.errors import DamagedFile, UserError
from competition_utils.models.base import load_model, new_model
from competition_utils.share import hub
from competition_utils.storage import write_json, write_text

TOKEN = "hf_" + "secret" * 5


class StandIn:
    """Keeps what it is asked, and the files that `upload_folder` would take."""

    def __init__(self, private: bool = True, error: Exception | None = None):
        self.private, self.error, self.calls, self.repository = private, error, [], {}

    def create_repo(self, repo_id, *, private, exist_ok):
        self.calls.append(("create_repo", repo_id, private))
        if self.error:
            raise self.error
        return f"https://hub/{repo_id}"

    def model_info(self, repo_id):
        return SimpleNamespace(private=self.private)

    def upload_file(self, *, path_or_fileobj, path_in_repo, repo_id):
        self.repository[path_in_repo] = path_or_fileobj

    def upload_folder(self, *, folder_path, repo_id, allow_patterns):
        self.repository |= {name: (Path(folder_path) / name).read_bytes() for name in allow_patterns}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """A saved linear model, with the scores and the report that a run leaves beside it."""
    folder = tmp_path_factory.mktemp("run") / "fold0"
    words = ["shoe", "lamp"] * 20
    pairs = pd.DataFrame({"task": "QC", "language": "en", "query": words, "query_en": "", "target": words[::-1]})
    pairs["label"] = np.arange(40) % 3 == 0
    model = new_model("linear", {"C": 2.0})
    report = model.fit(pairs, pairs, work_dir=folder, seed=0)
    model.save(folder)
    write_json(folder / "fit.json", report.as_dict())
    pairs.to_parquet(folder / "scores.parquet")
    return folder


@pytest.fixture
def folder(fitted, tmp_path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "fold0"))


def test_the_model_arrives_whole_with_a_card_and_without_what_lies_beside_it(folder, tmp_path):
    api = StandIn()
    address = hub.push(hub.pack(folder), "someone/qc", private=True, api=api)
    assert address == "https://hub/someone/qc" and ("create_repo", "someone/qc", True) in api.calls
    assert api.repository.keys() == {"model.json", "weights.npz", "README.md"}
    received = tmp_path / "received"
    received.mkdir()
    for name, content in api.repository.items():
        (received / name).write_bytes(content)
    assert load_model(received).settings.C == 2.0
    card = api.repository["README.md"].decode()
    assert "valid_auc" in card and "| C | 2.0 |" in card and card.startswith("---\n")


def test_the_card_of_an_encoder_says_what_transformers_alone_would_leave_out(folder):
    saved = {"kind": "encoder", "settings": {"linear_share": 0.3}}
    assert "share of 0.3" in hub.new_card(folder, saved)
    assert "transformers alone" not in hub.new_card(folder, {"kind": "encoder", "settings": {"linear_share": 0.0}})


def test_the_card_that_a_fit_wrote_is_the_one_that_goes(folder):
    write_text(folder / "README.md", "# of the fit\n")
    api = StandIn()
    hub.push(hub.pack(folder), "someone/qc", private=True, api=api)
    assert api.repository["README.md"] == b"# of the fit\n"


def test_nothing_goes_to_a_public_repository_unless_asked(folder):
    api = StandIn(private=False)
    with pytest.raises(UserError, match="private, found it public"):
        hub.push(hub.pack(folder), "someone/qc", private=True, api=api)
    assert api.repository == {}
    hub.push(hub.pack(folder), "someone/qc", private=False, api=api)
    assert ("create_repo", "someone/qc", False) in api.calls and api.repository


def test_a_model_that_was_changed_since_its_fit_does_not_go(folder):
    (folder / "weights.npz").write_bytes(b"changed")
    with pytest.raises(DamagedFile, match=r"weights\.npz"):
        hub.pack(folder)


def of_status(status: int) -> HfHubHTTPError:
    request = httpx.Request("POST", "https://hub", headers={"authorization": f"Bearer {TOKEN}"})
    return HfHubHTTPError(f"refused {TOKEN}", response=httpx.Response(status, request=request))


REFUSALS = [of_status(401), of_status(500), LocalTokenNotFoundError(), OfflineModeIsEnabled(TOKEN)]
REFUSALS += [httpx.ConnectError(TOKEN), ConnectionError(TOKEN)]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_refusal_is_one_message_without_the_token(folder, monkeypatch, capsys, error):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: StandIn(error=error))
    assert cli.main(["push", str(folder), "someone/qc"]) == 2
    shown = "".join(capsys.readouterr())
    assert "hf auth login" in shown and TOKEN not in shown
    assert not [path for path in folder.rglob("*") if TOKEN.encode() in path.read_bytes()]


def test_a_dry_run_lists_files_and_card_and_asks_nobody(folder, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: pytest.fail("asked the Hub"))
    assert cli.main(["push", str(folder), "someone/qc", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("model.json", "weights.npz", "library_name:", "nothing was sent", "private"))


def test_the_library_finds_the_token_itself(folder, monkeypatch, capsys):
    made = []
    monkeypatch.setattr("huggingface_hub.HfApi", lambda *args, **words: made.append((args, words)) or StandIn())
    assert cli.main(["push", str(folder), "someone/qc"]) == 0
    assert made == [((), {})] and "pushed to https://hub/someone/qc, private" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a/b/c", "someone/", "../x", "a b"])
def test_a_name_that_is_no_repository_is_refused_before_the_folder_is_read(tmp_path, capsys, name):
    assert cli.main(["push", str(tmp_path / "nowhere"), name]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err
