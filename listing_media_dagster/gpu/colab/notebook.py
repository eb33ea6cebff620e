"""The notebook that works off one job in Colab: fetch the bundle, install the package, work, hand the results over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from listing_media_dagster.gpu.job import ModelJob

BUNDLE, RESULTS = "bundle.zip", "results.zip"

INTRODUCTION = """# Model job `{job_id}`

{items} item(s) of kind *{kind}*. Choose a GPU under *Runtime → Change runtime type*, then *Runtime → Run all*.
{arrival} The work goes on where it stopped if you run it again. {return_}"""

UNPACK = """import pathlib, subprocess, sys, zipfile
if not pathlib.Path({bundle!r}).exists():
    {fetch}
with zipfile.ZipFile({bundle!r}) as bundle:
    bundle.extractall("package")
wheel = next(pathlib.Path("package").glob("*.whl"))
subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"{{wheel}}[models]"], check=True)
"""

WORK = """import shutil
has_gpu = shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
device = "cuda:0" if has_gpu else "cpu"
worker = [sys.executable, "-m", "listing_media_dagster.gpu.worker", "package/job.zip", "--into", "job", *{pull!r}]
with subprocess.Popen([*worker, "--device", device], stdout=subprocess.PIPE, text=True) as running:
    for line in running.stdout:
        print(line, end="", flush=True)
if running.returncode:
    raise RuntimeError(f"the worker ended with {{running.returncode}}")
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.transport import pack_results
pack_results(JobFolder(pathlib.Path("job")), pathlib.Path({results!r}))
"""

UPLOAD_BY_HAND = "from google.colab import files; files.upload_file({bundle!r})"
DOWNLOAD_BY_HAND = "from google.colab import files\nfiles.download({results!r})\n"
FETCH = "import urllib.request; urllib.request.urlretrieve({url!r}, {bundle!r})"
HAND_OVER = """import urllib.request
body = pathlib.Path({results!r}).read_bytes()
kind = {{"Content-Type": "application/octet-stream"}}
request = urllib.request.Request({url!r}, data=body, method="PUT", headers=kind)
print("handed over:", urllib.request.urlopen(request).status)
"""


@dataclass(frozen=True)
class Links:
    """Where the notebook gets the bundle and puts the results; both expire, and whoever has them may use them."""

    bundle: str
    results: str


def draw_notebook(job: ModelJob, models: Sequence[str], *, links: Links | None = None, by_hand: bool = True) -> bytes:
    """Return the notebook (nbformat 4.5) for `job`, which first fetches those `models` that the job names.

    Without `links` a person carries the files or, if not `by_hand`, the command line tool.
    """
    if links:
        fetch = FETCH.format(url=links.bundle, bundle=BUNDLE)
        hand_over = HAND_OVER.format(url=links.results, results=RESULTS)
        arrival, return_ = "The bundle is fetched by a link.", "The results are handed over by a link."
    elif by_hand:
        fetch, hand_over = UPLOAD_BY_HAND.format(bundle=BUNDLE), DOWNLOAD_BY_HAND.format(results=RESULTS)
        arrival = f"It asks you for `{BUNDLE}`."
        return_ = f"At the end your browser downloads `{RESULTS}`: put it into the folder that this notebook came from."
    else:
        fetch, hand_over = f"raise FileNotFoundError({BUNDLE!r})", ""
        arrival, return_ = "", ""
    introduction = INTRODUCTION.format(
        job_id=job.id, kind=job.kind, items=len(job.items), arrival=arrival, return_=return_
    )
    code = [
        UNPACK.format(bundle=BUNDLE, fetch=fetch),
        WORK.format(results=RESULTS, pull=["--pull", *models] if models else []),
        hand_over,
    ]
    cells = [_cell("markdown", introduction, 0), *(_cell("code", text, n) for n, text in enumerate(code, 1) if text)]
    metadata = {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4"},
        "kernelspec": {"display_name": "Python 3", "name": "python3"},
        "language_info": {"name": "python"},
    }
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return json.dumps(book, indent=1).encode()


def _cell(kind: str, text: str, number: int) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}
