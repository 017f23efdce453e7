"""QC and QI, described once: their fields, files, languages and what keeps two rows in one fold.

Source of the figures: the CIKM 2025 AnalytiCup "Multilingual E-commerce Product Search".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from competition_utils.errors import UserError

SPLITS = ("train", "dev", "test")


def plain_or_zipped(plain: Path) -> Path | None:
    """The file, else its `.gz`, else whatever else has one of the names (a folder, a broken link), so that its
    reader can name it; None where nothing does."""
    both = (plain, plain.with_name(plain.name + ".gz"))
    files = (path for path in both if path.is_file())
    others = (path for path in both if path.exists() or path.is_symlink())
    return next(files, None) or next(others, None)


@dataclass(frozen=True)
class Task:
    """One of the competition's two binary tasks.

    `target_field` is the official name of the field that the query is paired with; in tables it is
    `origin_target` (as given) and `target` (cleaned).
    """

    name: str
    title: str
    target_field: str
    train_languages: tuple[str, ...]
    unseen_languages: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The official fields in file order, without the label."""
        return ("id", "task", "language", "origin_query", self.target_field)

    @property
    def languages(self) -> tuple[str, ...]:
        return self.train_languages + self.unseen_languages

    def file_name(self, split: str) -> str:
        """`train_QC.txt` and so on."""
        return f"{split}_{self.name}.txt"

    def find_file(self, folder: Path | str, split: str) -> Path | None:
        """The official file of a split in `folder`, plain or `.gz`; None where there is neither."""
        return plain_or_zipped(Path(folder) / self.file_name(split))


QC = Task(
    name="QC",
    title="query–category",
    target_field="category_path",
    train_languages=("en", "es", "fr", "ja", "ko", "pt"),
    unseen_languages=("ar", "de", "it", "pl"),
)
QI = Task(
    name="QI",
    title="query–item",
    target_field="item_title",
    train_languages=("en", "es", "fr", "ja", "ko", "pt", "th"),
    unseen_languages=("ar", "de", "id", "it", "pl", "vn"),
)
TASKS = {task.name: task for task in (QC, QI)}


def select_tasks(choice: str) -> list[Task]:
    """`"QC"`, `"QI"` or `"all"` → the tasks meant, in the competition's order."""
    if choice == "all":
        return list(TASKS.values())
    if choice not in TASKS:
        raise UserError(f"task: expected QC, QI or all, found {choice!r}. Choose one of the three.")
    return [TASKS[choice]]
