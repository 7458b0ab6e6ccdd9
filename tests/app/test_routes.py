"""The web layer answers what it should, refuses the rest in words, and sends its security headers with everything."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from glowviz.app.server import create_app, is_loopback
from tests.app.fake_recording import RECORDING, fake_services

HERE = f"/api/r/{RECORDING}"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(fake_services(tmp_path)).server.test_client()


@pytest.mark.parametrize("path", [
    "overview", "passes", "scene/0", "scene/3?base=2", "numbers/3", "life/3?name=r1", "changes/3", "why/3?name=r1",
    "text/0", "program/0", "memory/0", "kernels", "kernel?name=conv1", "values/0?name=r0", "search?q=r1", "problems",
])
def test_every_payload_is_json_with_an_etag(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{HERE}/{path}")
    assert answer.status_code == 200
    assert answer.is_json
    again = client.get(f"{HERE}/{path}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_only_what_cannot_change_is_cached_for_ever(client: FlaskClient) -> None:
    assert "immutable" in client.get(f"{HERE}/scene/0").headers["Cache-Control"]
    assert "no-cache" in client.get(f"{HERE}/passes").headers["Cache-Control"]


@pytest.mark.parametrize(("path", "status"), [
    (f"{HERE}/scene/99", 404), (f"{HERE}/scene/0?base=99", 404), (f"{HERE}/scene/0?fold=x", 400),
    (f"{HERE}/scene/0?open=[1]", 400), (f"{HERE}/scene/0?open={{", 400), (f"{HERE}/life/0", 400),
    (f"{HERE}/life/0?name=nothing", 404), (f"/api/r/{'f' * 32}/passes", 404),
    ("/api/r/..%2f..%2fetc%2fpasswd/passes", 404),
    ("/api/nowhere", 404), ("/api/jobs/1", 404), (f"/api/jobs/{'a' * 32}", 404),
])
def test_refusals_have_a_status_and_words(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.get_json()["problem"]["what"]


def test_headers_close_the_page(client: FlaskClient) -> None:
    for path in ("/", f"{HERE}/passes", "/api/nowhere", "/assets/main.js"):
        with client.get(path) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe-eval" not in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_unknown_hosts_and_foreign_origins_are_refused(client: FlaskClient) -> None:
    assert client.get("/api/health", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/api/health", headers={"Host": "127.0.0.1:8050"}).status_code == 200
    foreign = client.post("/api/uploads", headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert client.post("/api/uploads", headers={"Origin": "http://localhost"}).status_code == 201


def test_paths_are_opened_for_one_local_user_only(tmp_path: Path) -> None:
    public = create_app(fake_services(tmp_path, local=False)).server.test_client()
    answer = public.post("/api/open", json={"path": "/etc/passwd"})
    assert answer.status_code == 403
    assert "does not open its own files" in answer.get_json()["problem"]["what"]


def test_another_address_needs_the_token(tmp_path: Path) -> None:
    app = create_app(fake_services(tmp_path), hosts=frozenset({"192.0.2.1"}), token="secret")
    client = app.server.test_client()
    assert client.get("/api/health").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    assert client.get("/?token=secret").status_code == 302
    assert client.get("/api/health").status_code == 200  # the cookie is set now


def test_uploads_stream_in_and_ask_for_dimensions(client: FlaskClient) -> None:
    upload = client.post("/api/uploads").get_json()["upload"]
    assert client.put(f"/api/uploads/{upload}?name=free.onnx", data=b"x").get_json() == {"size": 1}
    asked = client.post("/api/compile", json={"upload": upload})
    assert asked.status_code == 422
    assert asked.get_json()["dims"][0]["name"] == "N"
    started = client.post("/api/compile", json={"upload": upload, "shapes": {"N": 4}})
    assert started.status_code == 202


def test_a_cancelled_upload_leaves_nothing(client: FlaskClient, tmp_path: Path) -> None:
    upload = client.post("/api/uploads").get_json()["upload"]
    client.put(f"/api/uploads/{upload}?name=a.onnx", data=b"x")
    assert client.delete(f"/api/uploads/{upload}").status_code == 200
    assert client.put(f"/api/uploads/{upload}?name=a.onnx", data=b"x").status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"path": 3}', b'{"path": ""}'])
def test_malformed_bodies_are_refused(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/open", data=body)
    assert answer.status_code == 400
    assert answer.get_json()["problem"]["what"]


def test_the_layout_carries_no_bulk(client: FlaskClient) -> None:
    assert len(client.get("/_dash-layout").data) < 10_000


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.0.2.1", "example.org")))
