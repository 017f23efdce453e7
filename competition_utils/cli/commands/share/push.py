"""`push`: a fitted model to the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "upload a fitted model with its card to the Hugging Face Hub, as a private repository"
EXAMPLES = """\
  python -m competition_utils push papermill_runs/sample/finetune/joint/fold0 NAME/relevance --dry-run
  python -m competition_utils push papermill_runs/sample/finetune/joint/fold0 NAME/relevance

The token is that of `hf auth login`, or HF_TOKEN in the environment; it is not stored or printed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="MODEL_FOLDER", help="e.g. RUN/finetune/QC/fold0")
    parser.add_argument("repo_id", metavar="REPO_ID", help="OWNER/NAME; made where it is not there")
    parser.add_argument("--public", action="store_true", help="for everyone to see (default: private)")
    parser.add_argument("--dry-run", action="store_true", help="list the files and show the card; nothing is sent")


def run(args: argparse.Namespace) -> int:
    from competition_utils.share import hub

    hub.check_repo_id(args.repo_id)
    parcel = hub.pack(args.folder)
    for name, size in parcel.files.items():
        print(f"{size:>13,}  {name}")
    if not parcel.has_card:
        print(f"{len(parcel.card.encode()):>13,}  {hub.CARD} (made now)")
    if args.dry_run:
        print(f"\n{parcel.card}")
        print(f"nothing was sent; without --dry-run it goes to {args.repo_id}, {_seen(args)}")
        return 0
    print(f"pushed to {hub.push(parcel, args.repo_id, private=not args.public)}, {_seen(args)}")
    return 0


def _seen(args: argparse.Namespace) -> str:
    return "public" if args.public else "private"
