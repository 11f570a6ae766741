from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from kommo_sandbox.faults import MODES
from kommo_sandbox.limits import Limiter
from kommo_sandbox.options import Options


class TestLimits:
    def test_the_eighth_request_of_a_second_is_refused(self, api):
        api.options(requests_per_second=7, retry_after=3)
        answers = [api.get("users") for _ in range(8)]

        assert [answer.status_code for answer in answers] == [200] * 7 + [429]
        assert answers[-1].json()["retry_after"] == 3
        assert answers[-1].headers["Content-Type"] == "application/problem+json"
        assert [entry["over_ceiling"] for entry in api.journal()] == [False] * 7 + [True]
        statistics = api.control("GET", "statistics").json()
        assert (statistics["over_ceiling"], statistics["max_requests_in_any_second"]) == (1, 8)

    def test_a_refused_write_is_not_applied(self, api):
        api.options(requests_per_second=1)
        api.get("account")
        assert api.post("leads", [{"name": "x"}]).status_code == 429
        assert api.control("GET", "leads").json()["leads"] == []

    def test_the_control_api_and_the_token_endpoint_count_for_nothing(self, api):
        api.options(requests_per_second=1)
        for _ in range(5):
            api.control("GET", "leads")
            requests.post(f"{api.url}/oauth2/access_token", json={}, timeout=5)
        assert api.get("account").status_code == 200

    def test_the_window_slides(self):
        limiter = Limiter(Options(requests_per_second=2))
        moments = [0.0, 0.5, 0.9, 1.0, 1.4, 1.5, 2.0]
        assert [limiter.arrive(at) for at in moments] == [True, True, False, True, False, True, True]
        assert limiter.most_in_a_second == 4

    @pytest.mark.parametrize("before", [0.0, 0.5, 1.0])
    def test_calls_take_their_time_before_and_after_they_are_counted(self, before):
        limiter = Limiter(Options(latency=0.4, latency_jitter=0.2, latency_before=before))
        ways = [limiter.way() for _ in range(200)]

        assert all(0.32 <= there + rest <= 0.48 for there, rest in ways)
        assert max(there + rest for there, rest in ways) > 0.46
        assert all(there == pytest.approx((there + rest) * before) for there, rest in ways)

    def test_a_call_is_counted_when_it_arrives_and_not_when_it_left(self, api):
        api.options(latency=0.2, latency_before=1.0)
        left = time.perf_counter()
        api.get("account")
        assert api.journal()[-1]["monotonic"] - left >= 0.2

    def test_who_ignores_refusals_is_blocked_with_a_bare_page(self, api):
        api.options(requests_per_second=1, block_after=2, block_seconds=60)
        statuses = [api.get("account").status_code for _ in range(4)]
        assert statuses == [200, 429, 403, 403]
        assert "nginx" in api.get("account").text


APPLIED = {mode for mode, applied in MODES.items() if applied and mode not in ("slow", "partial")}


def attempt(api, **more):
    try:
        return api.post("leads", [{"name": "x"}]) if not more else api.call("POST", "leads", [{"name": "x"}], **more)
    except requests.ConnectionError:
        return None


class TestFaults:
    @pytest.mark.parametrize(
        ("mode", "status", "content_type"),
        [
            ("429", 429, "application/problem+json"),
            ("500", 500, "application/problem+json"),
            ("504", 504, "text/html; charset=utf-8"),
            ("html_500", 500, "text/html; charset=utf-8"),
            ("403_html", 403, "text/html; charset=utf-8"),
            ("403", 403, "application/problem+json"),
            ("402", 402, "application/problem+json"),
            ("401", 401, "application/problem+json"),
            ("invalid_json", 200, "application/hal+json"),
            ("empty_body", 200, "application/hal+json"),
        ],
    )
    def test_each_answer_comes_once_and_then_all_is_well(self, api, mode, status, content_type):
        api.fault(mode, count=1)
        answer = attempt(api)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
        assert len(api.control("GET", "leads").json()["leads"]) == (1 if mode in APPLIED else 0)
        assert attempt(api).json()["_embedded"]["leads"]

    @pytest.mark.parametrize("mode", ["drop_before", "drop_after", "timeout"])
    def test_a_connection_that_dies(self, api, mode):
        api.fault(mode, count=1, seconds=0.01)
        assert attempt(api) is None
        assert len(api.control("GET", "leads").json()["leads"]) == (1 if mode == "drop_after" else 0)
        [entry] = api.journal()
        assert (entry["status"], entry["fault"], entry["applied"]) == (None, mode, mode == "drop_after")
        assert attempt(api).ok

    def test_a_client_gives_up_on_a_timeout_first(self, api):
        api.fault("timeout", count=1, seconds=5)
        with pytest.raises(requests.ReadTimeout):
            api.call("GET", "account", timeout=0.1)

    def test_any_fault_can_come_after_the_write(self, api):
        api.fault("504", count=1, applied=True)
        assert attempt(api).status_code == 504
        assert len(api.control("GET", "leads").json()["leads"]) == 1

    def test_a_refused_write_stays_refused_whatever_comes_after(self, api):
        api.fault("drop_after")
        assert api.post("leads", [{"status_id": 1}]).status_code == 400

    def test_invalid_json_is_not_json_and_empty_is_empty(self, api):
        api.fault("invalid_json", count=1)
        with pytest.raises(requests.exceptions.JSONDecodeError):
            api.get("account").json()
        api.fault("empty_body", count=1)
        assert api.get("account").content == b""

    def test_the_429_says_how_long(self, api):
        api.fault("429", count=1, retry_after=300)
        assert api.get("account").json()["retry_after"] == 300

    def test_slow(self, api):
        api.fault("slow", count=1, seconds=0.05)
        assert api.get("account").ok
        assert api.journal()[0]["duration_seconds"] >= 0.05

    @pytest.mark.parametrize(("mode", "applied"), [("slow", True), ("timeout", False)])
    def test_what_is_held_goes_on_when_the_faults_are_cleared(self, api, mode, applied):
        def named():
            return [lead["name"] for lead in api.control("GET", "leads").json()["leads"]]

        api.fault(mode, count=1, path="/api/v4/leads", seconds=600)
        with ThreadPoolExecutor() as pool, suppress(requests.ConnectionError):
            create = pool.submit(api.post, "leads", [{"name": "late"}])
            while not any(call["fault"] == mode for call in api.journal()):
                time.sleep(0.01)
            assert named() == []
            api.control("DELETE", "faults")
            assert create.result().ok is applied
        assert named() == (["late"] if applied else [])

    def test_partial_applies_a_share_and_names_only_that(self, api):
        ids = [api.create(f"old {n}") for n in range(4)]
        api.fault("partial", count=1)
        answer = api.patch("leads", [{"id": lead_id, "name": "new"} for lead_id in ids])
        assert [lead["id"] for lead in answer.json()["_embedded"]["leads"]] == ids[:2]
        assert [api.lead(lead_id)["name"] for lead_id in ids] == ["new", "new", "old 2", "old 3"]

    def test_filters_by_method_and_path(self, api):
        api.fault("500", method="PATCH", path="/api/v4/leads")
        lead_id = api.create()
        assert api.get("leads").ok
        assert api.patch("leads", [{"id": lead_id, "name": "x"}]).status_code == 500
        assert api.patch(f"leads/{lead_id}", {"name": "x"}).status_code == 500
        assert api.control("DELETE", "faults").status_code == 204
        api.fault("500", path="/api/v4/leads/*")
        assert api.get("leads").ok
        assert api.get(f"leads/{lead_id}").status_code == 500

    def test_probability_is_repeatable(self, api):
        def run():
            api.staff("reset")
            api.fault("500", probability=0.5)
            return [api.get("account").status_code for _ in range(30)]

        first = run()
        assert {200, 500} == set(first)
        assert run() == first

    def test_the_count_runs_out(self, api):
        api.fault("500", count=2)
        assert [api.get("account").status_code for _ in range(3)] == [500, 500, 200]
        assert api.control("GET", "faults").json()["faults"] == []

    def test_an_expired_token_stays_expired(self, api):
        api.fault("token_expired", count=1)
        assert [api.get("account").status_code for _ in range(2)] == [401, 401]

    @pytest.mark.parametrize(
        "order",
        [
            {"mode": "nope"},
            {"mode": "500", "count": 0},
            {"mode": "500", "probability": 2},
            {"mode": "500", "surprise": 1},
            [],
        ],
    )
    def test_wrong_orders_are_refused_with_a_remedy(self, api, order):
        answer = api.control("POST", "faults", order)
        assert answer.status_code == 400 and answer.json()["remedy"]

    def test_every_mode_can_be_ordered(self, api):
        for mode in MODES:
            api.fault(mode)
        assert len(api.control("GET", "faults").json()["faults"]) == len(MODES)


def test_connections_are_kept_alive_and_end_with_the_sandbox(api):
    from kommo_sandbox.server import SandboxServer

    with SandboxServer() as server, requests.Session() as session:
        session.get(f"{server.url}/api/v4/account", timeout=5)
        session.get(f"{server.url}/api/v4/account", timeout=5)
        pools = session.get_adapter(server.url).poolmanager.pools
        assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - not iterable itself
        server.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.url}/api/v4/account", timeout=5)


def test_arrivals_are_counted_while_a_slow_answer_is_under_way(api):
    api.fault("timeout", count=1, seconds=0.3)
    started = time.monotonic()
    with pytest.raises(requests.RequestException):
        api.call("GET", "account", timeout=0.05)
    assert api.get("account").ok
    first, second = api.journal()
    assert second["monotonic"] - first["monotonic"] <= time.monotonic() - started
