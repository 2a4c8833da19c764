"""The site on this machine only: nothing outside it, no other host's name."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from livingpaper.errors import ProjectError
from livingpaper.serve import open_server


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    site = tmp_path / "_site"
    (site / "chapters").mkdir(parents=True)
    (site / "index.html").write_text("home")
    (site / "chapters/a b.html").write_text("chapter")
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "out").symlink_to(tmp_path)
    with open_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_pages_are_served(port: int) -> None:
    assert get(port, "/") == (200, "home")
    assert get(port, "/chapters/a%20b.html") == (200, "chapter")
    assert get(port, "/index.html?x=1#y") == (200, "home")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/link.txt",
        "/out/secret.txt",
        "/..%2fsecret.txt",
        "//secret.txt",
        "/chapters/",
    ],
)
def test_nothing_else_is(port: int, path: str) -> None:
    status, text = get(port, path)
    assert status == 404
    assert "secret" not in text.replace("secret.txt", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", "localhost.evil:1", ""]
)
def test_other_hosts_names_are_refused(port: int, host: str) -> None:
    assert get(port, "/", host=host or " ")[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "[::1]:80", "127.0.0.1"])
def test_this_machines_names_are_served(port: int, host: str) -> None:
    assert get(port, "/", host=host)[0] == 200


def test_only_the_loopback_address_is_used(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("")
    with open_server(tmp_path, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_site_that_is_not_there_and_a_port_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"index.html: not found; run: livingpaper build"):
        open_server(tmp_path, 0)
    (tmp_path / "index.html").write_text("")
    with (
        open_server(tmp_path, 0) as server,
        pytest.raises(ProjectError, match=f"--port {server.server_port}: cannot be used"),
    ):
        open_server(tmp_path, server.server_port)
