"""What pyproject.toml cannot say: a wheel carries notebooks and configs, since no clone lies beside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithNotebooks(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib) / "competition_utils" / "project"
            for name in ("notebooks", "configs"):
                ignored = shutil.ignore_patterns(".ipynb_checkpoints")
                shutil.copytree(name, inside / name, ignore=ignored, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithNotebooks})
