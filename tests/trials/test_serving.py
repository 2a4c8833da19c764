"""Attacks on the server of `serve` and `preview`: nothing outside the site, to nobody outside this machine."""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livingpaper.preview.channel import Channel
from livingpaper.preview.server import open_preview
from livingpaper.serve import MOST, SiteServer, open_server
from tests.trials.attacks import BROKEN, EVENTS, FOREIGN, METHODS, OTHERS, OUTSIDE, OWN, SECRET, TARGETS, get
from tests.trials.conftest import Trial

AREA = "Preview and serve"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a secret beside it, and every kind of way that seems to lead there."""
    root = tmp_path_factory.mktemp("attacked")
    site = root / "_site"
    (site / "chapters").mkdir(parents=True)
    (site / "bare").mkdir()
    (site / "linked").mkdir()
    (root / "secret.txt").write_bytes(SECRET)
    for name in (".hidden", ".index.html.part", "bare/.x"):
        (site / name).write_bytes(SECRET)
    (site / "index.html").write_text("<head></head>home")
    (site / "chapters/one.html").write_text("<head></head>one")
    (site / "link.txt").symlink_to(root / "secret.txt")
    (site / "linked/index.html").symlink_to(root / "secret.txt")
    (site / "out").symlink_to(root)
    (site / "loop").symlink_to(site / "loop")
    os.mkfifo(site / "fifo")
    return site


@pytest.fixture(scope="module", params=["serve", "preview"])
def server(request: pytest.FixtureRequest, site: Path) -> Iterator[SiteServer]:
    with open_server(site, 0) if request.param == "serve" else open_preview(site, 0, Channel()) as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def answer(server: SiteServer, request: bytes, enough: bytes = b"") -> bytes:
    """All that comes back to raw bytes after which nothing follows, or what comes until there is enough of it."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as client:
        try:
            client.sendall(request)
            if not enough:
                client.shutdown(socket.SHUT_WR)
            found = b""
            while not (enough and enough in found) and (part := client.recv(65536)):
                found += part
        except ConnectionError:  # refused before all of it was read
            found = b""
    return found


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.0 ") else 0


def alive(server: SiteServer) -> bool:
    """Whether an honest reader still gets the page, and its headers."""
    reply = answer(server, get("/"))
    return status(reply) == 200 and b"home" in reply and b"X-Content-Type-Options: nosniff" in reply


def refused(server: SiteServer, request: bytes, *codes: int) -> bool:
    reply = answer(server, request)
    return status(reply) in codes and SECRET not in reply and b"home" not in reply and b"Traceback" not in reply


def test_nothing_outside_the_site_is_served(
    server: SiteServer, trial: Trial, capfd: pytest.CaptureFixture[str]
) -> None:
    held = sum(refused(server, get(path), 404) for path in OUTSIDE[:-1])
    held += SECRET not in answer(server, get(OUTSIDE[-1]))
    held += sum(SECRET not in answer(server, get(path, method="HEAD")) for path in OUTSIDE)
    assert alive(server)
    assert capfd.readouterr().err == ""
    trial.row(AREA, f"paths out of the site: {kind(server)}", 2 * len(OUTSIDE), held)


def test_other_hosts_names_are_refused(server: SiteServer, trial: Trial) -> None:
    held = sum(refused(server, get("/", headers), 403, 400) for headers in OTHERS)
    held += sum(refused(server, get("/", headers, version="HTTP/1.0"), 403, 400) for headers in OTHERS)
    trial.row(AREA, f"other hosts' names: {kind(server)}", 2 * len(OTHERS), held, "rebound DNS, odd and doubled forms")


def test_other_methods_and_targets_are_refused(server: SiteServer, trial: Trial) -> None:
    held = sum(refused(server, get("/", method=method), 405) for method in METHODS)
    held += sum(refused(server, get(target), 400) for target in TARGETS)
    trial.row(AREA, f"other methods and targets: {kind(server)}", len(METHODS) + len(TARGETS), held)


def test_broken_requests_end_in_a_refusal(server: SiteServer, trial: Trial, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(3)
    noise = [chance.randbytes(chance.randrange(1, 300)) for _ in range(trial.amount(500, 20))]
    broken = [*BROKEN, *noise, *(each + b"\r\n\r\n" for each in noise)]
    replies = [answer(server, request) for request in broken]
    held = sum(SECRET not in reply and b"home" not in reply and b" 500 " not in reply[:20] for reply in replies)
    assert alive(server)
    assert capfd.readouterr().err == ""
    trial.row(AREA, f"broken requests and noise: {kind(server)}", len(broken), held)


def test_news_are_for_the_previews_own_pages(site: Path, trial: Trial) -> None:
    with open_preview(site, 0, Channel()) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        requests = [f"{EVENTS}{OWN}{header}\r\n\r\n".encode() for header in FOREIGN]
        requests += [f"{EVENTS}{host}\r\n".encode() for host in OTHERS]
        requests += [f"{EVENTS}{OWN}\r\n".encode().replace(b"GET", each) for each in (b"POST", b"OPTIONS", b"HEAD")]
        replies = [answer(server, request, b"data:") for request in requests]
        held = sum(b"data:" not in reply and status(reply) >= 400 for reply in replies)
        assert b"data:" in answer(server, f"{EVENTS}{OWN}\r\n".encode(), b"data:")
        server.shutdown()
    trial.row(AREA, "the stream of news asked for from elsewhere", len(requests), held)


CROWDS = {
    "silent": b"",
    "halting": b"GET / HT",
    "unfinished": get("/")[:-2],
    "listening": f"{EVENTS}{OWN}\r\n".encode(),
}


@pytest.mark.parametrize("what", CROWDS)
def test_a_crowd_keeps_nobody_out(site: Path, trial: Trial, what: str) -> None:
    before, crowd = threading.active_count(), []
    count = trial.amount(2000, 300)
    with open_preview(site, 0, Channel()) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        held = 0
        for number in range(count):
            crowd.append(socket.create_connection(("127.0.0.1", server.server_port), timeout=10))
            crowd[-1].sendall(CROWDS[what])
            few = threading.active_count() - before <= 2 * MOST + 2
            held += few and (number % 50 != 49 or alive(server))
            if len(crowd) > 400:
                crowd.pop(0).close()
        assert alive(server)
        for each in crowd:
            each.close()
        deadline = time.monotonic() + 20
        while threading.active_count() > before + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= before + 2, "threads outlive their connections"
        server.shutdown()
    trial.row(AREA, f"{what} connections", count, held, f"{2 * MOST} threads at most; in between readers are served")


def kind(server: SiteServer) -> str:
    return "preview" if "Preview" in repr(server.RequestHandlerClass) else "serve"
