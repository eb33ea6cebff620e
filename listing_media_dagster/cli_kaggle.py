"""listing-media kaggle: check credentials and GPU time, upload weights and wheels for sessions to use."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from listing_media_dagster.settings import settings

if TYPE_CHECKING:
    from listing_media_dagster.gpu.kaggle.client import KaggleClient

app = typer.Typer(no_args_is_help=True, help=__doc__)
say = Console(stderr=True)


@app.callback()
def kaggle() -> None:
    """Keep `setup` a command of its own, with room for others."""


@app.command()
def setup(
    models: Annotated[list[str] | None, typer.Argument(help="pulled models whose weights are uploaded")] = None,
    wheels: Annotated[
        Path | None, typer.Option(help="folder of wheels that Kaggle's image lacks", exists=True, file_okay=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="upload without asking")] = False,
) -> None:
    """Say who is signed in and how much GPU time is left; upload what sessions shall find attached."""
    from listing_media_dagster.gpu.kaggle.client import KaggleError
    from listing_media_dagster.gpu.routes.kaggle import HOW_TO_SIGN_IN, has_credentials, sessions_of

    if importlib.util.find_spec("kaggle") is None:
        _give_up("The client isn't installed: pip install 'listing-media-dagster[kaggle]'")
    if not has_credentials(os.environ):
        _give_up(HOW_TO_SIGN_IN[0].upper() + HOW_TO_SIGN_IN[1:])
    try:
        with sessions_of(settings()).client(say=_tell) as client:
            account, quota = client.who_am_i(), client.quota()
            _tell(f"Signed in as {account.user} ({account.method.lower().replace('_', ' ')}, client {account.version})")
            _tell(f"{quota.left_seconds / 3600:.1f} of {quota.allowed_seconds / 3600:.0f} GPU hours left this week")
            with tempfile.TemporaryDirectory(prefix="listing-media-kaggle-") as scratch:
                uploads = _gather(models or [], wheels, Path(scratch), account.user)
                _upload(client, uploads, yes=yes)
    except KaggleError as error:
        _give_up(f"Kaggle: {error}")


def _gather(models: list[str], wheels: Path | None, scratch: Path, owner: str) -> dict[str, Path]:
    """Return by dataset the folder with its one file; weights are packed and checked on the way."""
    from listing_media_dagster.gpu.kaggle.setup import dataset_slug
    from listing_media_dagster.models.catalogue import BadCatalogue, catalogue_entry
    from listing_media_dagster.models.packing import pack_models
    from listing_media_dagster.models.weights import BadWeights, ModelMissing

    uploads = {}
    for model in models:
        folder = scratch / model
        try:
            entry = catalogue_entry(model, settings().model_catalogue)
            with say.status(f"packing {model}"):
                pack_models([entry], settings().models_dir, folder / "weights.zip")
        except (ModelMissing, BadWeights, BadCatalogue, OSError, LookupError) as unusable:
            _give_up(str(unusable.args[0] if isinstance(unusable, LookupError) else unusable))
        uploads[f"{owner}/{dataset_slug('weights', model)}"] = folder
    if wheels is not None:
        found = sorted(wheels.glob("*.whl"))
        if not found:
            _give_up(f"{wheels} holds no wheels (*.whl)")
        folder = scratch / "wheels"
        folder.mkdir()
        for wheel in found:
            shutil.copyfile(wheel, folder / wheel.name)
        uploads[f"{owner}/{dataset_slug('wheels', 'python')}"] = folder
    return uploads


def _upload(client: KaggleClient, uploads: Mapping[str, Path], *, yes: bool) -> None:
    from listing_media_dagster.gpu.kaggle.setup import push_dataset

    if not uploads:
        _tell("Nothing to upload: the package travels with each job. Name pulled models to upload their weights.")
        return
    for ref, folder in uploads.items():
        size = sum(path.stat().st_size for path in folder.iterdir())
        _tell(f"Private dataset {ref}: {', '.join(path.name for path in folder.iterdir())}, {size / 1e6:.1f} MB")
    if not yes and not typer.confirm("Upload to Kaggle?", err=True):
        raise typer.Exit(1)
    for ref, folder in uploads.items():
        push_dataset(client, folder, ref, _tell)
        _tell(f"{ref} is ready")
    attached = [name.strip() for name in settings().kaggle_datasets.split(",") if name.strip()]
    missing = [ref for ref in uploads if ref not in attached]
    if missing:
        _tell(f"To have them attached: LISTING_MEDIA_KAGGLE_DATASETS={','.join([*attached, *missing])}")


def _tell(line: str) -> None:
    say.print(line, markup=False, highlight=False, soft_wrap=True)


def _give_up(why: str) -> NoReturn:
    say.print(why, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
