"""Which requests come from the service's own page, and which from elsewhere."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from differnet.server.incoming.site import Site
from differnet.server.problems import Problem


def status(site: Site, method: str, headers: dict[str, str], *, keys: bool = True) -> int:
    try:
        site.check(method, Headers(headers), open_to_all=keys)
    except Problem as problem:
        return problem.status
    return 200


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("localhost:8080", "http://localhost:8080", 200),
        ("LocalHost:8080", "http://localhost:8080", 200),
        ("localhost", "http://localhost:80", 200),
        ("localhost:443", "https://localhost", 200),
        ("localhost:8080", "null", 403),
        ("localhost:8080", "", 403),
        ("localhost:8080", "http://localhost:8081", 403),
        ("localhost:8080", "http://evil.example", 403),
        ("localhost:8080", "http://localhost:8080.evil.example", 403),
        ("localhost:8080", "http://[", 403),
        ("localhost:8080", "http://localhost:99999999", 403),
        ("localhost:8080", "file://", 403),
        ("localhost", "ftp://localhost", 403),
        ("[::1", "http://localhost", 400),
        ("localhost@evil.example", "http://evil.example", 400),
        ("localhost/..", "http://localhost", 400),
    ],
)
def test_a_change_comes_from_the_own_page_alone(host: str, origin: str, expected: int, keys: bool) -> None:
    assert status(Site(), "POST", {"host": host, "origin": origin}, keys=keys) == expected


def test_programs_and_links_are_let_in() -> None:
    own = {"host": "localhost:8080"}
    assert status(Site(), "POST", own) == 200  # curl says nothing of where it comes from
    for method, where, expected in (
        ("GET", "cross-site", 200),  # a link in a wiki
        ("POST", "same-origin", 200),
        ("POST", "none", 200),
        ("POST", "cross-site", 403),
        ("DELETE", "same-site", 403),
    ):
        assert status(Site(), method, own | {"sec-fetch-site": where}) == expected
    assert status(Site(), "GET", own | {"origin": "null"}) == 200  # a report in its sandbox


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via", "X-Forwarded-Proto", "X-Forwarded-Server", "CF-Connecting-IP"],
)
def test_without_keys_nobody_comes_through_a_proxy(name: str) -> None:
    headers = {"host": "127.0.0.1:8080", name: "203.0.113.9"}
    assert status(Site(), "GET", headers, keys=False) == 403
    assert status(Site(), "GET", headers, keys=True) == 200


def test_behind_a_proxy_the_public_name_counts() -> None:
    site = Site(["station.example", "other.example:8443"])
    page = {"origin": "https://station.example"}
    for host, origin, expected in (
        ("127.0.0.1:8080", "https://station.example", 200),  # nginx, unless told otherwise
        ("station.example", "https://station.example", 200),
        ("station.example:443", "https://station.example", 200),
        ("127.0.0.1:8080", "https://other.example:8443", 200),
        ("127.0.0.1:8080", "https://other.example", 403),
        ("evil.example", "https://evil.example", 403),
        ("evil.example", "https://station.example", 403),
    ):
        assert status(site, "POST", {"host": host, "origin": origin}) == expected, (host, origin)
    assert status(Site(), "POST", {"host": "127.0.0.1:8080"} | page) == 403
