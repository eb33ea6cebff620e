"""Every knob of an installation: LISTING_MEDIA_* in the environment or in .env, as one typed object."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LISTING_MEDIA_", env_file=".env", extra="ignore", frozen=True)

    store: str = Field("./media", description="where media lies: a local folder or s3://bucket/prefix")
    media_url: str = Field(
        "http://127.0.0.1:3001",
        description="where browsers reach the store's files; `make ui` serves them there",
    )
    s3_endpoint: str | None = Field(None, description="of an S3 server that isn't AWS, such as http://127.0.0.1:8333")
    s3_region: str = Field("us-east-1", description="region of the bucket")
    s3_access_key_id: str | None = Field(None, description="default: the usual AWS credential chain")
    s3_secret_access_key: SecretStr | None = Field(None, description="goes with the access key id")

    # Intake: what may become a photo.
    max_file_mb: int = Field(200, gt=0, description="larger files are rejected")
    max_megapixels: int = Field(120, gt=0, description="larger pictures are rejected (decompression-bomb guard)")
    max_files: int = Field(500, gt=0, description="files a listing may have")
    min_short_edge: int = Field(240, gt=0, description="px; smaller pictures are rejected")
    decode_seconds: int = Field(60, gt=0, description="time one file may take to decode")
    decode_memory_mb: int = Field(3072, gt=0, description="memory one decoder process may take")

    # Virtual staging, and what an installation adds to the built-in kits and furniture.
    stage: Literal["empty_rooms", "named"] = Field(
        "empty_rooms", description="rooms to stage: every empty one, or only those a listing or a run names"
    )
    design_kits: Path | None = Field(None, description="folder of design kits (*.yaml) beside the built-in ones")
    furniture: Path | None = Field(None, description="folder of glTF, GLB or OBJ pieces, each with its YAML")

    # Quality gate.
    clip_threshold: float = Field(0.75, ge=0, le=2.5, description="CLIPScore = 2.5·max(cos, 0), OpenAI ViT-B/32 only")
    clip_min_pass_share: float = Field(0.5, ge=0, le=1, description="share of gated images that must pass")
    clip_strict: bool = Field(
        False, description="a gated image that is below the threshold, or was not scored, blocks the listing"
    )
    clip_gate: Literal["altered", "all"] = Field(
        "altered", description="which images the threshold gates: generated ones, or photographs as well"
    )
    clip_weights: Path | None = Field(None, description="folder with open_clip weights; default: the pulled ones")
    models_dir: Path = Field(Path("~/.cache/listing-media/models"), description="where pulled weights are kept")
    model_catalogue: Path | None = Field(
        None, description="YAML file, or folder of them, with models and LoRAs beside those of the built-in catalogue"
    )
    models: str = Field(
        "",
        description="models to use, as STAGE=MODEL, comma-separated; MODEL is an id, none, or auto (default): the best"
        " pulled one that fits a device; a diffusion model works on a CPU only where it is named here",
    )
    allow_licences: str = Field(
        "",
        pattern=r"^[a-z0-9/, -]*$",
        description="ids of models (LoRAs: id/role), comma-separated, whose licence sets conditions to business use and"
        " was accepted",
    )

    # Where model work runs.
    routes: str = Field(
        "cuda,cpu",
        description="ways model work may go, in order of preference: cuda, cpu, celery, kaggle, colab, comfyui;"
        " photos leave this machine only by those of the last four that are named",
    )
    work_dir: Path = Field(Path("~/.cache/listing-media/work"), description="where jobs lie while they are worked on")

    # The GPUs of this machine, shared by its runs and its warm workers.
    gpu_devices: str = Field(
        "auto", description='as CUDA_VISIBLE_DEVICES names them; "auto": all that it shows; "none"'
    )
    gpu_locks: Path | None = Field(
        None, description="folder with a lock a GPU, for all containers that use one; default: beside temporary files"
    )

    # Warm GPU workers, where `routes` names celery.
    broker: SecretStr | None = Field(None, description="redis:// or rediss:// URL that workers take jobs from")
    warm_minutes: float = Field(30, ge=0, description="how long a worker keeps a model that nobody asks for")
    jobs_at_once: int = Field(
        8, gt=0, description="waiting jobs of one kind and model that a worker takes as one batch"
    )

    # Kaggle, where `routes` names it; credentials are the Kaggle client's own (KAGGLE_API_TOKEN and so on).
    kaggle_dir: Path = Field(
        Path("~/.cache/listing-media/kaggle"), description="where jobs wait for Kaggle and its sessions are recorded"
    )
    kaggle_session_minutes: int = Field(540, ge=20, le=720, description="longest session; Kaggle's own limit is 720")
    kaggle_sessions: int = Field(2, ge=1, description="sessions at a time; Kaggle allows an account two with GPUs")
    kaggle_collect_seconds: float = Field(60, ge=0, description="how long a job waits for others to share its session")
    kaggle_internet: bool = Field(False, description="let sessions fetch weights and packages that aren't attached")
    kaggle_datasets: str = Field("", description="attached to sessions: owner/dataset, comma separated")
    kaggle_models: str = Field("", description="attached: owner/model/framework/variation/version, comma separated")

    # Colab, where `routes` names it.
    colab: Literal["tool", "by_hand"] = Field(
        "tool", description="through Google's command line tool, or by a notebook that a person runs"
    )
    colab_command: str = Field("colab", description="the tool's program, found on PATH")
    colab_gpu: Literal["T4", "L4", "G4", "A100", "H100"] = Field("T4", description="the GPU to ask Colab for")
    colab_minutes: int = Field(120, gt=0, le=1380, description="how long a job may take there")

    # ComfyUI, where `routes` names it.
    comfyui_url: str | None = Field(None, description="server that runs workflows, such as http://127.0.0.1:8188")
    comfyui_api_key: SecretStr | None = Field(None, description="sent as a bearer token, for servers behind a proxy")
    comfyui_edit: str = Field("qwen_image_edit", description="workflow for edits: a shipped one, or a file of yours")
    comfyui_animate: str = Field("wan22_i2v", description="workflow that sets a photo in motion")
    comfyui_present: str = Field("infinitetalk_presenter", description="workflow in which a person speaks a script")
    comfyui_lora: str | None = Field(None, description="LoRA file on the server, for workflows with a place for one")
    comfyui_lora_strength: float = Field(1.0, ge=-2, le=2, description="how much the LoRA counts")

    # Automation.
    quiet_seconds: int = Field(120, ge=0, description="a drop without _READY is taken once unchanged for so long")
    listings_per_tick: int = Field(25, gt=0, description="runs the upload sensor requests at most per tick")
    archive_after_days: int = Field(365, gt=0, description="a listing untouched for so long is archived")

    workers: int = Field(2, gt=0, description="photos worked on at the same time within a stage")

    @property
    def allowed_licences(self) -> frozenset[str]:
        return frozenset(filter(None, (model.strip() for model in self.allow_licences.split(","))))


@lru_cache
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return Settings()
