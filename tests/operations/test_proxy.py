"""The proxy of deploy/nginx before two web servers: TLS, where the client is, and one server away."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import eventually, give_migrated, port
from tests.operations.document import ROOT, blocks

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.served,
    pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx is not installed"),
]


# What stands in sites-enabled once Debian has installed nginx.
DEBIANS_OWN_SITE = """server {
    listen 80 default_server;
    listen [::]:80 default_server;
    root /var/www/html;
    server_name _;
    location / { try_files $uri $uri/ =404; }
}
"""


def on_ports(text: str, *, plain: int, secure: int) -> str:
    lines = [line for line in text.splitlines() if "listen [::]" not in line]
    text = "\n".join(lines).replace("listen 80", f"listen 127.0.0.1:{plain}")
    return text.replace("listen 443 ", f"listen 127.0.0.1:{secure} ")


def configured(directory: Path, **ports: int) -> Path:
    """Write the shipped configuration with our ports and a certificate of our own."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=bridge.example",
         "-addext", "subjectAltName=DNS:bridge.example,IP:127.0.0.1",
         "-keyout", str(directory / "privkey.pem"), "-out", str(directory / "fullchain.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    challenge = directory / "html" / ".well-known" / "acme-challenge"
    challenge.mkdir(parents=True)
    (challenge / "token").write_text("proof")
    text = (ROOT / "deploy" / "nginx" / "bridge.conf").read_text(encoding="utf-8")
    text = on_ports(text, plain=ports["plain"], secure=ports["secure"])
    for theirs, ours in {
        "/etc/letsencrypt/live/bridge.example": str(directory),
        "/var/www/html": str(directory / "html"),
        "/var/log/nginx/": f"{directory}/",
        "127.0.0.1:8000": f"127.0.0.1:{ports['web']}",
        "127.0.0.1:8001": f"127.0.0.1:{ports['away']}",
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    folders = "".join(
        f"{name}_temp_path {directory / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = directory / "nginx.conf"
    main.write_text(
        # Its workers read below a folder of ours.
        f"user {getpass.getuser()};\npid {directory / 'nginx.pid'};\n"
        f"error_log {directory / 'error.log'};\nworker_processes 1;\n"
        f"events {{ worker_connections 128; }}\n"
        f"http {{\n{folders}access_log {directory / 'access.log'};\n{text}\n}}\n"
    )
    return main


def test_the_proxy_ends_tls_hides_what_is_secret_and_asks_the_server_that_is_there(tmp_path):
    ports = {name: free_port(port()) for name in ("plain", "secure", "web", "away")}
    conf = configured(tmp_path, **ports)
    subprocess.run(["nginx", "-t", "-c", str(conf)], check=True, capture_output=True)
    certificate = str(tmp_path / "fullchain.pem")
    secure = f"https://127.0.0.1:{ports['secure']}"
    stage = Stage(tmp_path, web_port=ports["web"], sandbox_port=0)
    stage.environment |= {"DEBUG": "false", "ALLOWED_HOSTS": "bridge.example", "SECURE": "true"}
    with stage:
        give_migrated(tmp_path)
        stage.start_web()
        stage.start("nginx", ["nginx", "-c", str(conf), "-g", "daemon off;"])

        def ask(path: str, method: str = "GET", **more: object) -> requests.Response:
            return requests.request(
                method, secure + path, headers={"Host": "bridge.example"}, verify=certificate,
                timeout=10, allow_redirects=False, **more,
            )  # fmt: skip

        def ready() -> None:
            assert ask("/readyz").status_code == 200

        eventually(ready)
        # Every call is answered although one of the two servers is away.
        assert {ask("/readyz").status_code for _ in range(10)} == {200}
        plain = requests.get(
            f"http://127.0.0.1:{ports['plain']}/admin/", headers={"Host": "bridge.example"}, timeout=10,
            allow_redirects=False,
        )  # fmt: skip
        assert (plain.status_code, plain.headers["Location"]) == (308, "https://bridge.example/admin/")

        assert ask("/metrics").status_code == 404
        assert ask("/webhooks/kommo/s3cr3t/", "POST", data="x=1").status_code == 404
        too_large = ask("/api/v1/interactions/", "POST", data=b"x" * 3_200_000)
        assert too_large.status_code == 413
        challenge = requests.get(
            f"http://127.0.0.1:{ports['plain']}/.well-known/acme-challenge/token",
            headers={"Host": "bridge.example"}, timeout=10, allow_redirects=False,
        )  # fmt: skip
        assert (challenge.status_code, challenge.text) == (200, "proof")
        assert ask("/.well-known/acme-challenge/token").text == "proof"
        for host in ("other.example", "127.0.0.1", "1" * 8000):
            with pytest.raises(requests.ConnectionError):
                requests.get(secure + "/healthz", headers={"Host": host}, verify=certificate, timeout=10)
        assert ask("/api/v1/agent/may-reply/?phone=5581999990000").status_code == 401
        for path in (
            "//webhooks/kommo/s3cr3t/",
            "/WebHooks/kommo/s3cr3t/",
            "/x/../webhooks/kommo/s3cr3t/",
            "/webhook/kommo/s3cr3t/",
        ):
            ask(path, "POST", data="x=1")
        ask("/intake/whats/s3cr3t/", "POST", data="x=1")
        ask("/admin/welcome/MQ/s3cr3t/")
        # Passwords are guessed slowly, and a guesser takes nothing from anybody else.
        assert 429 in {ask("/admin/login/").status_code for _ in range(40)}
        assert ask("/readyz").status_code == 200
        # The bridge knows that the outside is https: no redirect to where we are, and HSTS.
        answer = ask("/api/v1/leads/")
        assert answer.status_code == 401
        assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
        assert len(answer.headers["X-Request-Id"]) == 32
    for log in ("bridge.log", "access.log", "error.log"):
        written = (tmp_path / log).read_text() if (tmp_path / log).exists() else ""
        assert "s3cr3t" not in written
        assert "5581999990000" not in written
    assert "GET /api/v1/agent/may-reply/" in (tmp_path / "bridge.log").read_text()
    assert "s3cr3t" not in (tmp_path / "web.log").read_text()


@pytest.fixture
def proxy(tmp_path):
    """Ask the proxy, both servers behind it away; `caller`: from which address, as the proxy before it would say."""
    ports = {name: free_port(port()) for name in ("plain", "secure", "web", "away")}
    conf = configured(tmp_path, **ports)
    conf.write_text(
        conf.read_text().replace("http {\n", "http {\nset_real_ip_from 127.0.0.1; real_ip_header X-Caller;\n")
    )

    def ask(path: str, *, caller: str = "192.0.2.1", **more: object) -> int:
        return requests.request(
            more.pop("method", "GET"), f"https://127.0.0.1:{ports['secure']}{path}", timeout=10, allow_redirects=False,
            headers={"Host": "bridge.example", "X-Caller": caller}, verify=str(tmp_path / "fullchain.pem"), **more,
        ).status_code  # fmt: skip

    def ready() -> None:
        assert ask("/readyz") == 502

    with Stage(tmp_path, web_port=0, sandbox_port=0) as stage:
        stage.start("nginx", ["nginx", "-c", str(conf), "-g", "daemon off;"])
        eventually(ready)
        yield ask


@pytest.mark.parametrize(
    "network", ["2001:db8:1:2:{}:{}:{}:{}", "2001:db8:0:7::{3}", "2001:db8::{1}:{2}:{3}", "2001:db8:7::{}:{}:{}"]
)
def test_another_address_of_the_same_network_is_the_same_caller(proxy, network):
    addresses = [network.format(*(f"{number * place + 1:x}" for place in (3, 5, 7, 11))) for number in range(40)]

    assert 429 in [proxy("/admin/login/", caller=address) for address in addresses]
    # Of another network, and of the older kind, each counts for itself.
    assert proxy("/admin/login/", caller="2001:db9:1:2::1") == 502
    assert {proxy("/admin/login/", caller=f"198.51.100.{number}") for number in range(1, 41)} == {502}


def test_what_goes_wrong_is_written_down_without_what_was_asked_for(proxy, tmp_path):
    assert proxy("/api/v1/agent/may-reply/?phone=5581999990000") == 502
    assert proxy("/oauth/kommo/callback/?code=s3cr3t") == 502
    assert {proxy(f"/{path}/MQ/s3cr3t/") for path in ("admin/welcome", "/Admin/%57elcome", "admin/reset")} == {502}
    assert proxy("/admin/search/?s=5581999990000", method="POST", data=b"x" * 3_200_000) == 413

    written = "".join((tmp_path / log).read_text() for log in ("bridge.log", "error.log", "nginx.log"))
    assert "s3cr3t" not in written and "5581999990000" not in written
    assert '"GET /api/v1/agent/may-reply/" 502' in written


def test_the_file_takes_the_place_of_debians_own_site_as_the_document_says(tmp_path):
    configured(tmp_path, plain=free_port(port()), secure=free_port(port()), web=1, away=2)
    plain, secure = free_port(port()), free_port(port())
    etc, app = tmp_path / "etc", tmp_path / "app"
    for folder in (etc / "conf.d", etc / "sites-enabled", app / "deploy" / "nginx"):
        folder.mkdir(parents=True)
    shipped = (ROOT / "deploy" / "nginx" / "bridge.conf").read_text(encoding="utf-8")
    (app / "deploy" / "nginx" / "bridge.conf").write_text(on_ports(shipped, plain=plain, secure=secure))
    (etc / "sites-enabled" / "default").write_text(on_ports(DEBIANS_OWN_SITE, plain=plain, secure=secure))
    (etc / "nginx.conf").write_text(
        f"user {getpass.getuser()};\npid {tmp_path / 'nginx.pid'};\nerror_log {tmp_path / 'error.log'};\n"
        f"events {{ }}\nhttp {{ include {etc}/conf.d/*.conf; include {etc}/sites-enabled/*; }}\n"
    )
    [commands] = [block.commands for block in blocks() if block.section == "TLS"]
    # Who signs certificates and who starts services are not here; what they would do is ours.
    done_by_hand = [line for line in commands.splitlines() if line.split()[0] not in ("certbot", "systemctl")]
    here = {
        "nginx -t": f"nginx -t -c {etc}/nginx.conf",
        "/etc/nginx/": f"{etc}/",
        "/opt/kommo-bridge/app": str(app),
        "bridge.example/g": f"bridge.example/g; s#/etc/letsencrypt/live/bridge.example#{tmp_path}#; "
        f"s#/var/log/nginx#{tmp_path}#",
    }
    text = "\n".join(done_by_hand)
    for theirs, ours in here.items():
        text = text.replace(theirs, ours)

    done = subprocess.run(["bash", "-euc", text], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
