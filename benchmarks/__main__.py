"""python -m benchmarks NAME --json: one measurement, its peers measured in the same run."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NAMES = (
    "photo",
    "brackets",
    "tour",
    "orchestration",
    "warm_worker",
    "incremental",
    "intake",
    "staging",
    "room_geometry",
    "suitability",
    "structure_gate",
    "clip",
    "gpu",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object a line")
    parser.add_argument("--keep", action="store_true", help="write it to benchmarks/results")
    asked = parser.parse_args()
    for name in NAMES if asked.name == "all" else (asked.name,):
        result = {"name": name, **importlib.import_module(f"benchmarks.{name}").run()}
        print(json.dumps(result) if asked.json else _readable(result), flush=True)
        if asked.keep and "not_run" not in result:
            _keep(name, result)


def _readable(result: dict[str, Any]) -> str:
    return f"{result['name']}: " + json.dumps({key: value for key, value in result.items() if key != "name"}, indent=2)


def _keep(name: str, result: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=RESULTS, capture_output=True, text=True, check=True).stdout.strip()
    stamped = {"date": datetime.now(UTC).date().isoformat(), "commit": commit, **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(stamped, indent=1) + "\n")


if __name__ == "__main__":
    main()
