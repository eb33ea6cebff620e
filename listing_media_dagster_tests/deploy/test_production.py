"""The production shape, as far as it can be checked without a container engine: its files against the real parts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import typer
import yaml
from click.testing import CliRunner
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli
from typer.main import get_command

from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.helpers.servers import free_port

# These programs' entry points are functions that run them; the commands themselves are made here.
COMMANDS = {
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": create_dagster_webserver_cli(),
}
ROOT = Path(__file__).parents[2]
SECRETS = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "REDIS_PASSWORD")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def home(tmp_path: Path, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME as the image has it, its storage folder moved to one that is there."""
    text = (ROOT / "deploy" / "dagster.yaml").read_text().replace("/opt/dagster/storage", str(tmp_path / "storage"))
    (tmp_path / "dagster.yaml").write_text(text)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", fresh_postgres_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_dagster_yaml_keeps_everything_in_postgres_and_watches_its_runs(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
            assert "Postgres" in type(storage).__name__
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 24 * 3600
        assert instance.run_retries_enabled and instance.run_retries_max_retries == 2
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.get_settings("concurrency")["runs"]["max_concurrent_runs"] == 2
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        ticks = instance.get_tick_retention_settings(dg._core.definitions.run_request.InstigatorType.SENSOR)
        assert {status.value: days for status, days in ticks.items()}["SKIPPED"] == 2


def test_a_run_is_recorded_in_postgres_by_the_production_instance(home: Path) -> None:
    @dg.asset
    def made() -> None: ...

    with dg.DagsterInstance.from_config(str(home)) as instance:
        result = dg.materialize([made], instance=instance)
        assert result.success
    with dg.DagsterInstance.from_config(str(home)) as another:
        assert another.get_run_by_id(result.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]


def test_without_a_database_the_instance_says_which_variable_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_POSTGRES_URL")
    with pytest.raises(Exception, match="DAGSTER_POSTGRES_URL"):
        dg.DagsterInstance.from_config(str(home))


def test_migrate_prepares_an_empty_database(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "migrate"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    published = [str(port) for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(published) == 3
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    assert "ports" not in compose["services"]["postgres"]
    assert not any("network_mode" in service for service in compose["services"].values())


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        uses = re.findall(r"(?<!\$)\$\{?" + name + r"\b([^}]*)\}?", text)
        assert uses and all(use.startswith(":?") and ".env" in use for use in uses), name
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY", name):
                assert str(value).startswith("${"), name


def test_the_example_environment_names_everything_and_holds_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z0-9_]+=", line))
    assert [given[name] for name in SECRETS] == [""] * len(SECRETS)
    known = {f"LISTING_MEDIA_{name.upper()}" for name in Settings.model_fields} | {
        *SECRETS,
        "LISTING_MEDIA_EXTRAS",
        "DAGSTER_INSTANCE",
    }
    assert set(given) <= known
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert used <= set(given)


def test_every_setting_the_compose_file_makes_exists(compose: dict[str, Any]) -> None:
    known = {f"LISTING_MEDIA_{name.upper()}" for name in Settings.model_fields}
    made = {name for name in compose["x-app"]["environment"] if name.startswith("LISTING_MEDIA_")}
    assert made and made <= known


def test_every_lasting_service_says_whether_it_is_well_and_waits_for_those_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        if service.get("restart") != "no":
            assert "healthcheck" in service, name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            lasting = services[needed].get("restart") != "no"
            assert how["condition"] == ("service_healthy" if lasting else "service_completed_successfully")
    assert services["code"]["stop_grace_period"] == "1h", "its runs are its children"


def test_commands_in_the_compose_file_are_understood_by_the_programs(compose: dict[str, Any]) -> None:
    installed = {entry.name: entry for entry in entry_points(group="console_scripts")}
    for name in ("code", "webserver", "daemon", "media", "migrate", "gpu-worker"):
        program, *words = compose["services"][name]["command"]
        main = installed[program].load()
        command = get_command(main) if isinstance(main, typer.Typer) else COMMANDS.get(program, main)
        subcommand = words[: next((n for n, word in enumerate(words) if word.startswith("--")), len(words))]
        shown = CliRunner().invoke(command, [*subcommand, "--help"], terminal_width=200)
        assert shown.exit_code == 0, shown.output
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
        for word in words:
            if word.startswith("--"):
                assert word in plain, f"{program} doesn't know {word}"


def test_where_many_machines_execute_runs_the_instance_differs_in_its_run_launcher_alone() -> None:
    one, many = (
        yaml.safe_load((ROOT / "deploy" / name).read_text()) for name in ("dagster.yaml", "dagster.celery.yaml")
    )
    assert one.pop("run_launcher")["class"] == "CudaRunLauncher"
    assert many.pop("run_launcher")["class"] == "ManyMachinesRunLauncher"
    assert one == many


def test_workers_start_only_where_they_are_asked_for(compose: dict[str, Any]) -> None:
    optional = {name: service["profiles"] for name, service in compose["services"].items() if "profiles" in service}
    assert optional == {"redis": ["gpu", "many"], "gpu-worker": ["gpu"], "run-worker": ["many"]}
    for name, service in compose["services"].items():
        if name not in optional:
            assert not set(optional) & set(service.get("depends_on", {})), f"{name} starts without them"
    [gpus] = compose["services"]["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpus == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert "requirepass" not in compose["services"]["redis"]["command"][0], "no password on a command line"


def test_the_workspace_and_the_code_server_agree(compose: dict[str, Any]) -> None:
    [location] = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    server = location["grpc_server"]
    command = compose["services"][server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--module-name") + 1] == "listing_media_dagster.definitions"


def test_the_image_is_built_from_files_that_exist_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    allowed = {
        line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied and all((ROOT / path).exists() for path in copied)
    assert set(copied) == allowed, "what is copied and what reaches the builder are the same"
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] not in ("root", "0")
    assert not any("PASSWORD" in line or "SECRET" in line for line in lines)


@pytest.fixture
def docker_compose() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and not subprocess.run([*command, "version"], capture_output=True).returncode:
            return command
    pytest.skip("no docker compose here: the compose file is checked by its content only")


def test_compose_refuses_to_start_without_secrets_and_accepts_the_file_with_them(
    docker_compose: list[str], tmp_path: Path
) -> None:
    def config(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *docker_compose,
                "--env-file",
                os.devnull,
                "-f",
                str(ROOT / "docker-compose.yml"),
                "config",
                "--format",
                "json",
            ],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        )

    for missing in SECRETS:
        refused = config({name: "x" for name in SECRETS if name != missing})
        assert refused.returncode != 0
        assert missing in refused.stderr and ".env" in refused.stderr
    accepted = config(dict.fromkeys(SECRETS, "0123456789abcdef"))
    assert accepted.returncode == 0, accepted.stderr
    for service in json.loads(accepted.stdout)["services"].values():
        assert all(port.get("host_ip") == "127.0.0.1" for port in service.get("ports", ()))


def test_the_code_server_serves_the_definitions_and_says_it_is_well(home: Path, compose: dict[str, Any]) -> None:
    port = free_port()
    command = [str(port) if word == "4000" else word for word in compose["services"]["code"]["command"]]
    command = ["127.0.0.1" if word == "0.0.0.0" else word for word in command]
    programs = Path(sys.executable).parent
    with (home / "code.log").open("wb") as log:
        server = subprocess.Popen([str(programs / command[0]), *command[1:]], stdout=log, stderr=log, cwd=home)
        try:
            for _ in range(60):
                well = subprocess.run(
                    [str(programs / "dagster"), "api", "grpc-health-check", "--port", str(port)], capture_output=True
                )
                if well.returncode == 0 or server.poll() is not None:
                    break
            assert well.returncode == 0, (home / "code.log").read_text()[-3000:]
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:  # gRPC now and then sleeps through its SIGTERM
                server.kill()
                server.wait()
