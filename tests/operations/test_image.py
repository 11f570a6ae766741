"""What the Dockerfile, compose.yaml and the units say, done step by step in a plain folder: no engine is needed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml
from django.core.management import get_commands

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import port
from tests.operations.document import ROOT, UNITS, blocks

pytestmark = pytest.mark.served

LAST_STAGE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").rpartition("\nFROM ")[2]


def arguments_of(instruction: str) -> list[str]:
    """Return what follows an instruction in the image's last stage, once for each time it stands there."""
    return re.findall(rf"^{instruction} +(.+)$", LAST_STAGE, re.MULTILINE)


def variables() -> dict[str, str]:
    words = [word for line in arguments_of("ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words) | {"PATH": os.environ["PATH"]}


def command(text: str) -> list[str]:
    """Return a command in exec form, with this environment's own programs."""
    program, *arguments = json.loads(text)
    return [str(Path(sys.executable).with_name(program)), *arguments]


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """The folder /app as the image has it: what is copied, and what its own commands make of it."""
    app = tmp_path_factory.mktemp("image") / "app"
    (app / "data").mkdir(parents=True)
    for line in arguments_of("COPY"):
        if line.startswith("--from"):
            continue
        *sources, target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), f"the Dockerfile copies {source}, which is not there"
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(ROOT / source, app / target, ignore=ignored, dirs_exist_ok=True)
            else:
                (app / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, app / target)
    for line in arguments_of("RUN"):
        if "manage.py" in line:
            environment = variables() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            subprocess.run(["sh", "-ec", line], cwd=app, env=environment, check=True)
    return app


@pytest.mark.e2e
def test_the_images_command_serves_and_its_health_check_sees_it(image, tmp_path):
    web = free_port(port())
    stage = Stage(tmp_path, web_port=web, sandbox_port=0)
    stage.environment |= variables() | {
        "DEBUG": "false",
        "ALLOWED_HOSTS": "bridge.example",
        "SECURE": "true",
        "WEB_BIND": f"127.0.0.1:{web}",
        "DATABASE_URL": f"sqlite:///{image / 'data' / 'bridge.sqlite3'}",
    }
    python = {"cwd": image, "env": stage.environment}
    migrate = command(json.dumps(compose()["services"]["migrate"]["command"]))
    subprocess.run(migrate, check=True, capture_output=True, **python)
    check = command(re.search(r"CMD (\[.*\])", arguments_of("HEALTHCHECK")[0])[1].replace(":8000/", f":{web}/"))

    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            command(arguments_of("CMD")[0]), stdout=log, stderr=log, start_new_session=True, **python
        )
    stage.processes["web"] = process
    with stage:
        stage.wait_for("web", f"{stage.web_url}/readyz")
        assert subprocess.run(check, check=False, capture_output=True).returncode == 0
        # Static files are there, compressed, under names that may be kept for ever.
        page = requests.get(f"{stage.web_url}/admin/login/", headers={"Host": "bridge.example", **HTTPS}, timeout=10)
        style = re.search(r'href="(/static/unfold/css/styles\.[0-9a-f]+\.css)"', page.text)[1]
        answer = requests.get(stage.web_url + style, headers={"Host": "bridge.example", **HTTPS}, timeout=10)
        assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip")
        assert "max-age=315360000" in answer.headers["Cache-Control"]
    # Stopped as a container is: the main process alone, by its stop signal.
    assert process.returncode == 0
    assert subprocess.run(check, check=False, capture_output=True).returncode != 0


HTTPS = {"X-Forwarded-Proto": "https"}


def compose() -> dict:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


def test_the_image_runs_as_nobody_and_holds_no_secret():
    assert arguments_of("USER") == ["10001:10001"]
    assert "root" not in arguments_of("USER")
    assert variables()["ENV_FILE"] == "/dev/null"
    secret = re.compile(r"SECRET|TOKEN|PASSWORD|KEYS")
    assert not [name for name in variables() if secret.search(name)]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source.rstrip("/") for line in arguments_of("COPY") if "--from" not in line for source in line.split()[:-1]
    ]
    # Everything is left out but what is named, and what is named is all that is copied.
    assert "*" in ignored
    assert not {f"!{source}" for source in copied} - set(ignored)


def test_the_image_has_no_local_kommo_and_not_what_serves_it(image):
    assert not (image / "packages").exists()
    assert re.search(r"pip uninstall --yes .*\bwerkzeug\b", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_everything_the_code_reads_is_in_the_image(image):
    here = {path.name for path in ROOT.iterdir() if path.is_dir()}
    not_for_running = {
        *("benchmarks", "build", "data", "deploy", "docs", "examples", "packages", "scripts", "staticfiles", "tests"),
    }
    of_tools = {name for name in here if name.startswith((".", "__")) or name in ("dist", "htmlcov", "mutants")}
    assert here - not_for_running - of_tools <= {path.name for path in image.iterdir()}


def test_compose_takes_a_published_image_or_builds_one():
    for name in ("migrate", "web", "worker", "worker-2"):
        service = compose()["services"][name]
        assert (service["image"], service["build"]) == ("${IMAGE:-kommo-bridge:latest}", ".")


def test_compose_starts_nothing_before_the_tables_are_there_and_gives_workers_time_to_end():
    services = compose()["services"]
    for name in ("web", "worker", "worker-2"):
        service = services[name]
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["restart"] == "always"
    for name in ("worker", "worker-2"):
        # The worker takes up to 22 s to hand on what it is at.
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 30
    assert services["worker-2"]["profiles"] == ["more"]
    # Only the proxy on this host may come in, and nobody to the database.
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    assert not any("ports" in services[name] for name in ("postgres", "redis", "worker"))


def test_every_docker_command_of_the_document_names_what_compose_has():
    lines = [line for block in blocks() if "docker" in block.who for line in block.commands.splitlines()]
    assert lines
    services, ours = compose()["services"], ("web", "worker", "migrate")
    for line in [line.removeprefix("docker compose ") for line in lines if line.startswith("docker compose")]:
        words = [word for word in shlex.split(line) if not word.startswith("-")]
        if words[0] in ("exec", "run"):
            _, service, *inside = words
            assert service in services
            if service in ours and inside:
                assert inside[:2] == ["python", "manage.py"]
                assert inside[2] in get_commands()
        if "stop" in words:
            assert set(words[words.index("stop") + 1 :]) <= set(services)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path):
    names = []
    for unit in UNITS.glob("*.service"):
        text = unit.read_text(encoding="utf-8").replace("/opt/kommo-bridge", str(tmp_path))
        text = text.replace("User=kommobridge", "User=root").replace("Group=kommobridge", "Group=root")
        name = unit.name.replace("@.", "@8000.")
        (tmp_path / name).write_text(text)
        names.append(str(tmp_path / name))
    for program in ("python", "gunicorn"):
        (tmp_path / "venv" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "venv" / "bin" / program).symlink_to(sys.executable)
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)

    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "bridge-" in line]
    assert complaints == [], done.stderr
