"""`efdn-serve`: who may ask, and what becomes of the names that clients send."""

from __future__ import annotations

import pytest

from engines.serving.gate import is_allowed
from engines.serving.naming import content_disposition, safe_stem
from tests.serve_pictures import file_part, form, png
from tests.serve_samples import Running, as_json, head, said, servers

server = pytest.fixture(scope="module")(servers)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nope", 404), ("/page/../app.py", 404), ("/page/%2e%2e%2fapp.py", 404), ("/page/__init__.py", 404)],
)
def test_nothing_else_is_served(server: Running, path: str, status: int) -> None:
    # As it stands: clients take ".." out of paths before they send them.
    answer = server.ask(head("", path, "GET", Connection="close"))
    assert (answer[0], list(as_json(answer[2]))) == (status, ["error"])


def test_other_methods_are_refused_as_json(server: Running) -> None:
    answer = server.get("/upscale")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert said(answer) == (
        "/upscale does not take GET: send the picture with POST: "
        "curl -f -T photo.png -X POST .../upscale -o photo_x4.png"
    )


@pytest.mark.parametrize("path", ["/health", "/nope", "/upscale", "/metrics"])
def test_every_answer_has_the_headers_that_keep_browsers_safe(server: Running, path: str) -> None:
    headers = server.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("192.168.1.7", True),
        ("box.lan", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("a@localhost", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_own_names_and_addresses_are_allowed_as_host(host: str, allowed: bool) -> None:
    assert is_allowed(host, ["box.lan"]) is allowed


def test_other_hosts_and_other_sites_are_refused(server: Running) -> None:
    answer = server.get("/health", headers={"Host": "evil.example:8000"})
    assert (answer.status_code, said(answer)) == (
        421,
        "this server does not answer to evil.example:8000: start it with --allow-host evil.example, "
        "or ask for localhost",
    )
    assert server.post(png(), {"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert server.post(png(), {"Origin": "http://evil.example"}).status_code == 403
    assert server.post(png(), {"Origin": "null"}).status_code == 403
    assert server.post(png(), {"Origin": "http://["}).status_code == 403
    assert server.post(png(), {"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert server.post(png(), {"Sec-Fetch-Site": "none"}).status_code == 200
    own = {"Origin": server.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert server.post(png(), own).status_code == 200


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("photo.png", "photo"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot"),
        ("/", "picture"),
        ("..", "picture"),
        ("CON.png", "picture"),
        ("con.a.png", "picture"),
        ("aux .b.png", "picture"),
        ("console.a.png", "console.a"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie_ x"),
        ("\u202egnp.exe", "gnp"),
        ("a" * 500 + ".png", "a" * 120),
        (".hidden", "hidden"),
        ("größe.tif", "größe"),
    ],
)
def test_only_the_harmless_part_of_a_name_is_used(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def test_a_picture_without_a_name_is_saved_under_one_without_a_space(server: Running) -> None:
    assert 'filename="picture_x2.png"' in server.post(png()).headers["Content-Disposition"]


def test_names_go_back_in_ascii_and_in_utf8() -> None:
    assert content_disposition("größe_x4.png") == (
        "attachment; filename=\"gr__e_x4.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe_x4.png"
    )


def test_a_name_cannot_add_headers(server: Running) -> None:
    answer = server.post(png(), name='a"\r\nX-Evil: 1\r\n\r\n.png')
    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers
    body, headers = form(file_part(png(), "../../a%0D%0AX-Evil: 1.png"))
    assert (
        server.post(body, headers).headers["Content-Disposition"].startswith('attachment; filename="aX-Evil_ 1_x2.png"')
    )
