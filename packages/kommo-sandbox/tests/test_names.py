"""Clients that know nothing but https://<name>.kommo.com: by a proxy, or by a name that leads here."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from kommo_sandbox import names

AUTHORIZED = {"Authorization": "Bearer sandbox-token"}
CLIENT = """
import sys, requests
key = {"Authorization": "Bearer sandbox-token"}
answer = requests.post(sys.argv[1] + "/api/v4/leads", json=[{"name": "Maria"}], headers=key)
answer.raise_for_status()
print(answer.json()["_links"]["self"]["href"])
"""


@pytest.fixture
def certificate(api, tmp_path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_text(api.control("GET", "ca.pem").text)
    return file


@pytest.mark.parametrize("address", ["https://acme.kommo.com", "https://acme.amocrm.ru", "https://www.amocrm.com"])
def test_a_program_that_takes_no_other_address_comes_here_by_the_proxy(api, certificate, address):
    environment = names.environment(api.url, certificate)
    finished = subprocess.run(
        [sys.executable, "-c", CLIENT, address], env=environment, capture_output=True, text=True, check=True
    )
    # Links lead where the client came from.
    assert finished.stdout.strip() == f"{address}/api/v4/leads"
    assert [lead["name"] for lead in api.control("GET", "leads").json()["leads"]] == ["Maria"]


def test_many_calls_go_over_one_connection(api, certificate):
    with requests.Session() as session:
        session.trust_env = False
        session.proxies, session.verify = {"https": api.url}, str(certificate)
        for _ in range(3):
            assert session.get("https://acme.kommo.com/api/v4/account", headers=AUTHORIZED, timeout=10).ok


def test_a_name_that_leads_here_is_spoken_to_in_tls_at_the_same_port(api, certificate):
    trusting = ssl.create_default_context(cafile=str(certificate))
    address = (api.url.rpartition("/")[2].rpartition(":")[0], int(api.url.rpartition(":")[2]))
    plain = socket.create_connection(address)
    with trusting.wrap_socket(plain, server_hostname="acme.kommo.com") as tls:
        tls.sendall(b"GET /api/v4/account HTTP/1.1\r\nHost: acme.kommo.com\r\nConnection: close\r\n\r\n")
        answer = tls.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_who_does_not_trust_the_authority_is_told_by_their_own_client(api, certificate):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://acme.kommo.com/", proxies={"https": api.url}, verify=True, timeout=10)
    assert requests.get(f"{api.url}/_sandbox/leads", timeout=10).ok


def test_a_fault_ends_such_a_connection_too(api, certificate):
    api.fault("drop_before", count=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(
            "https://acme.kommo.com/api/v4/account",
            headers=AUTHORIZED,
            proxies={"https": api.url},
            verify=str(certificate),
            timeout=10,
        )


@pytest.mark.parametrize("address", ["https://example.com/", "https://kommo.com.example/", "https://notkommo.com/"])
def test_nothing_else_is_reached_through_it(api, certificate, address):
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get(address, proxies={"https": api.url}, verify=str(certificate), timeout=10)


def test_without_cryptography_it_says_what_to_install(api, monkeypatch):
    def missing() -> None:
        raise names.NoCertificates(names.WITHOUT)

    monkeypatch.setattr(names, "_make", missing)
    refused = api.control("GET", "ca.pem")
    assert (refused.status_code, refused.json()["remedy"]) == (501, names.WITHOUT)
    with pytest.raises(requests.exceptions.ProxyError, match="501"):
        requests.get("https://acme.kommo.com/", proxies={"https": api.url}, timeout=10)
