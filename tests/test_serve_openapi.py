"""`efdn-serve` and its own description: requests made up from it, answers held to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve_pictures import png
from tests.serve_samples import Running, eventually, head, running

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install '.[dev-serve]'")

from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(max_bytes=100_000, max_pixels=20_000) as started:
        yield started
        eventually(started.is_clean)
        assert not [line for line in started.lines if "Traceback" in line]
        assert not [notes for notes in started.told if notes.status == 500]


@pytest.fixture(scope="module")
def api(server: Running) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}openapi.json")


PICTURE = png()
EXAMPLES = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

OPERATIONS = [
    ("POST", "/upscale", 50),
    ("GET", "/progress/{id}", 20),
    ("GET", "/engines", 3),
    ("GET", "/health", 3),
    ("GET", "/ready", 3),
    ("GET", "/metrics", 3),
]


POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
ASKED = [(*operation, POSITIVE) for operation in OPERATIONS] + [(*operation, NEGATIVE) for operation in OPERATIONS[:2]]


@pytest.mark.parametrize(("method", "path", "examples", "mode"), ASKED)
def test_made_up_requests_get_described_answers_and_never_500(
    api: Any, method: str, path: str, examples: int, mode: Any
) -> None:
    @settings(EXAMPLES, max_examples=examples)
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_made_up_parameters_for_a_real_picture_get_described_answers(api: Any) -> None:
    statuses: set[int] = set()

    @settings(EXAMPLES, max_examples=100)
    @given(case=api["/upscale"]["POST"].as_strategy(generation_mode=POSITIVE))
    def ask(case: Any) -> None:
        case.body, case.media_type = PICTURE, "application/octet-stream"
        statuses.add(case.call_and_validate(checks=CHECKS).status_code)

    ask()
    assert {200, 422} <= statuses


ODD = ["", "http://[", "http://[::1", "null", "//", "http://a:b", "http://\x7f", "\xe9", "[", "%", "cross-site"]
NAMES = ["Host", "Origin", "Sec_Fetch_Site", "Content_Type", "Expect"]


@settings(EXAMPLES, max_examples=60)
@given(headers=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD)))
def test_odd_headers_are_never_500(server: Running, headers: dict[str, str]) -> None:
    status, _, body = server.ask(head(len(PICTURE), **headers), PICTURE)
    assert status in (200, 400, 403, 415, 417, 421), body


def test_all_described_operations_are_asked(api: Any) -> None:
    described = {(found.ok().method.upper(), found.ok().path) for found in api.get_all_operations()}
    assert described == {(method, path) for method, path, _ in OPERATIONS}


def test_every_answer_of_upscale_is_described_with_an_example(server: Running) -> None:
    content = server.get("/openapi.json").json()
    answers = content["paths"]["/upscale"]["post"]["responses"]
    assert sorted(answers) == [
        "200",
        "400",
        "403",
        "408",
        "409",
        "413",
        "415",
        "421",
        "422",
        "500",
        "503",
        "504",
        "507",
    ]
    assert "X-Efdn-Engine" in answers["200"]["headers"]
    assert "HTTPValidationError" not in str(content["components"])
