"""Everything that needs a CUDA GPU, in one go: the tests marked `gpu`, then the speed of fine-tuning; results as JSON.

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
        speed = Path(folder) / "finetune.json"
        subprocess.run([sys.executable, str(HERE / "finetune_gpu.py"), "--output", str(speed)], check=False)
        finetune = json.loads(speed.read_text(encoding="utf-8")) if speed.is_file() else None
    output.write_text(json.dumps({"tests": tests, "finetune": finetune}, indent=2) + "\n", encoding="utf-8")
    failed = [test["name"] for test in tests if test["outcome"] != "passed"]
    print(f"{len(tests) - len(failed)} of {len(tests)} GPU tests passed; results in {output}")
    return 1 if failed or finetune is None else 0


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
