"""A stand-in for Google's `colab` program: sessions are folders, and notebooks are executed for real in a kernel.

Run as a program by the script that `install_fake_colab` writes. Faults are files in its folder, each used up once.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from pathlib import Path


def install_fake_colab(folder: Path) -> Path:
    """Write the program into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "colab"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def calls_of(folder: Path) -> list[str]:
    """Return the commands that were given, in order."""
    log = folder / "calls"
    return [json.loads(line)[0] for line in log.read_text().splitlines()] if log.exists() else []


def has_fault(folder: Path, name: str) -> bool:
    fault = folder / f"fault-{name}"
    if not fault.exists():
        return False
    fault.unlink()
    return True


def main(folder: Path, arguments: list[str]) -> int:
    with (folder / "calls").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    command, rest = arguments[0], arguments[1:]
    session = folder / "sessions" / rest[rest.index("-s") + 1]
    if command == "status":
        print("[colab] running" if session.exists() else f"[colab] Session '{session.name}' not found.")
        return 0
    if command == "new":
        if has_fault(folder, "no-capacity"):
            print("[colab] Allocation refused (precondition failed).", file=sys.stderr)
            return 1
        (session / "content").mkdir(parents=True)
        return 0
    if command == "stop":
        shutil.rmtree(session, ignore_errors=True)
        return 0
    if not session.exists():
        print(f"[colab] Session '{session.name}' appears to be lost (404/401).")
        return 1
    if command == "upload":
        shutil.copyfile(rest[-2], session / rest[-1])
    elif command == "exec":
        while (folder / "hold").exists():
            time.sleep(0.05)
        return execute(Path(rest[rest.index("-f") + 1]), session / "content")
    elif command == "download":
        found = session / rest[-2]
        if not found.exists():
            print(f"[colab] Download failed: {rest[-2]} not found")
            return 1
        data = found.read_bytes()
        Path(rest[-1]).write_bytes(data[: len(data) // 2] if has_fault(folder, "cut-download") else data)
    return 0


def execute(notebook: Path, where: Path) -> int:
    """Run the notebook's cells in `where` and print what they print; an error in a cell is printed too, as there."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    installed = where.parent / "installed"
    # What the notebook installs goes into the session, not into the environment the tests run in.
    session = {"PIP_TARGET": str(installed), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PYTHONPATH": str(installed)}
    client = NotebookClient(book, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(where)}})
    try:
        client.execute(env={**os.environ, **session})
    except CellExecutionError as failed:
        print(str(failed).strip().splitlines()[-1])
    for cell in book.cells:
        for output in cell.get("outputs", []):
            print(output.get("text", ""), end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
