"""Everything that needs a CUDA GPU, in one go: tests marked `gpu`, then the speed of fitting and scoring; JSON.

    python benchmarks/gpu_check.py --output gpu_check.json

Ends with status 1 where a test failed, 2 on a machine without CUDA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("gpu_check.json"))
    output = parser.parse_args().output
    import torch

    if not torch.cuda.is_available():
        print("gpu_check: needs a CUDA GPU, found none on this machine.")
        return 2
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        tests = _run_tests(Path(folder) / "tests.xml")
        speed = {name: _benchmark(name, Path(folder)) for name in ("finetune_gpu", "scoring_gpu")}
    output.write_text(json.dumps({"tests": tests, **speed}, indent=2) + "\n", encoding="utf-8")
    failed = [test["name"] for test in tests if test["outcome"] != "passed"]
    print(f"{len(tests) - len(failed)} of {len(tests)} GPU tests passed; results in {output}")
    return 1 if failed or None in speed.values() else 0


def _benchmark(name: str, folder: Path) -> dict | None:
    """What a benchmark writes; None where it failed."""
    figures = folder / f"{name}.json"
    subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--output", str(figures)], check=False)
    return json.loads(figures.read_text(encoding="utf-8")) if figures.is_file() else None


def _run_tests(report: Path) -> list[dict[str, str | float]]:
    """Name, outcome and seconds of each test marked `gpu`."""
    line = [sys.executable, "-m", "pytest", "-m", "gpu", "--timeout", "1800", f"--junitxml={report}", "-v"]
    subprocess.run(line, cwd=HERE.parent, check=False)
    return [
        {
            "name": f"{case.get('classname')}::{case.get('name')}",
            "outcome": case[0].tag if len(case) and case[0].tag in ("failure", "error", "skipped") else "passed",
            "seconds": float(case.get("time")),
        }
        for case in ElementTree.parse(report).iter("testcase")
    ]


if __name__ == "__main__":
    sys.exit(main())
