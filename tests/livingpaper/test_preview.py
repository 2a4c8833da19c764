"""The paper while it is written: what is looked at, what is built, what pages are told, and how it ends."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livingpaper.execute.lock import build_lock
from livingpaper.execute.outcomes import Outcome
from livingpaper.pageprints import PagePrinter
from livingpaper.params import load_study
from livingpaper.press import prepare
from livingpaper.preview.channel import Channel, Mood
from livingpaper.preview.held import Running, build_some
from livingpaper.preview.server import open_preview
from livingpaper.preview.sources import Sources
from livingpaper.project import Project
from livingpaper.tasks import make_plan
from tests.livingpaper.conftest import IGNORED, TINY, Paper
from tests.livingpaper.execute.test_kill import running_in
from tests.livingpaper.previewing import COMMAND, previewing, printed, until

# --- what is looked at ------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "paper", ignore=IGNORED))


def differs(sources: Sources, before: dict[str, str]) -> set[str]:
    now = sources.look()
    return {name for name in now.keys() | before if now.get(name) != before.get(name)}


@pytest.mark.parametrize(
    "name", ["_quarto.yml", "index.qmd", "chapters/mean.ipynb", "paper/claims.yml", "params/tiny.yml",
             "src/tinylab/throw.py", "requirements.lock", "docs/new/page.md", "new.bib", "results/quick-s1/x.json"],
)  # fmt: skip
def test_whatever_people_write_is_looked_at(project: Path, name: str) -> None:
    sources = Sources(project)
    before = sources.look()
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    with (project / name).open("a") as file:
        file.write("\n")
    assert differs(sources, before) == {name}
    (project / name).unlink()
    assert differs(sources, before) == ({name} & before.keys())


@pytest.mark.parametrize(
    "name", ["artifacts/runs/tiny-s1/summary.json", "build/claims.json", "_site/index.html", ".git/index",
             "_quarto-tiny-s1.yml", "src/tinylab/__pycache__/throw.pyc", "src/tinylab.egg-info/PKG-INFO", "index.qmd~",
             "chapters/.ipynb_checkpoints/mean.ipynb", "chapters/.mean.ipynb.swp", "#index.qmd#"],
)  # fmt: skip
def test_what_programs_write_is_not(project: Path, name: str) -> None:
    sources = Sources(project)
    before = sources.look()
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("x")
    assert differs(sources, before) == set()


def test_only_content_counts_and_a_saved_file_may_be_another_one(project: Path) -> None:
    sources, page = Sources(project), project / "index.qmd"
    before = sources.look()
    text = page.read_text()
    os.utime(page, (1, 1))
    page.with_suffix(".new").write_text(text)
    os.replace(page.with_suffix(".new"), page)  # as many editors save
    assert differs(sources, before) == set()
    page.with_suffix(".new").write_text(text.replace("dice", "Dice"))
    os.replace(page.with_suffix(".new"), page)
    assert differs(sources, before) == {"index.qmd"}


def test_files_that_pages_show_and_folders_of_pages_are_looked_at(project: Path) -> None:
    (project / "more").mkdir()
    (project / "more/page.qmd").write_text("# More\n\n[data](../data/x.csv) [made](../_site/index.html)\n")
    (project / "data").mkdir()
    (project / "data/x.csv").write_text("1")
    sources = Sources(project)
    assert not {"data/x.csv", "more/page.qmd"} & sources.look().keys()
    quarto = project / "_quarto.yml"
    quarto.write_text(
        quarto.read_text().replace("    - paper/claims.qmd", "    - paper/claims.qmd\n    - more/page.qmd")
    )
    sources.learn()
    assert {"data/x.csv", "more/page.qmd"} <= sources.look().keys()
    quarto.write_text("book: [")
    sources.learn()  # a book that is broken for a moment
    assert {"data/x.csv", "more/page.qmd"} <= sources.look().keys()


def test_a_burst_of_changes_is_one(project: Path) -> None:
    sources = Sources(project)
    before = sources.look()

    def write() -> None:
        for number in range(8):
            (project / f"paper/{number}.qmd").write_text("x")
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    assert len(sources.changed(before)) == 8
    writer.join()


# --- what pages are told ----------------------------------------------------------------------------------------------


def test_the_same_again_is_no_news() -> None:
    channel = Channel({"": "a", "runs/x": "b"})
    number, news = channel.latest
    folders = {"index.html": "", "runs/x/index.html": "runs/x", "runs/xy/a.html": ""}
    assert {page: news.folder(page) for page in folders} == folders
    channel.tell(Mood.FAILED, "broken")
    later, news = channel.latest
    assert later != number
    assert (news.mood, news.says) == (Mood.FAILED, "broken")
    channel.tell(Mood.FAILED, "broken")
    assert channel.latest[0] == later
    channel.printed("runs/x", "c")
    assert channel.news.printed == {"": "a", "runs/x": "c"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, Channel]]:
    site = tmp_path / "_site"
    (site / "runs/tiny-s2").mkdir(parents=True)
    page = "<!DOCTYPE html><html><head><title>é</title></head><body>home</head></body></html>"
    (site / "index.html").write_text(page)
    (site / "runs/tiny-s2/index.html").write_text(page)
    (site / "bare.html").write_text("bare")
    (site / "paper.css").write_text("</head>")
    channel = Channel({"": "main", "runs/tiny-s2": "other"})
    with open_preview(site, 0, channel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, channel
        server.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    text = response.readline() if path == "/_preview/events" and response.status == 200 else response.read()
    connection.close()
    return response.status, text.decode(), dict(response.headers)


def test_the_script_is_put_into_pages_and_into_no_file(served: tuple[int, Channel], tmp_path: Path) -> None:
    port, _ = served
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, text, headers = ask(port, "/")
    script = '<script src="/_preview/reload.js" data-printing="" data-mark="main" defer></script>\n</head><body>'
    assert status == 200
    assert script in text
    assert text.count("<script") == 1
    assert int(headers["Content-Length"]) == len(text.encode())
    assert 'data-printing="runs/tiny-s2" data-mark="other"' in ask(port, "/runs/tiny-s2/index.html")[1]
    assert ask(port, "/bare.html")[1].startswith("bare<script")
    assert ask(port, "/paper.css")[1] == "</head>"
    assert "EventSource" in ask(port, "/_preview/reload.js")[1]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_page_that_is_not_printed_yet_will_come(served: tuple[int, Channel]) -> None:
    for path in ("/new.html", "/chapters/", "/.hidden.html"):
        status, text, _ = ask(served[0], path)
        assert status == 404
        assert "No such page yet" in text
        assert "/_preview/reload.js" in text
    assert ask(served[0], "/new.css")[1] == "404: Not Found\n"


def test_the_stream_is_for_the_previews_own_pages(served: tuple[int, Channel]) -> None:
    port, channel = served
    own = f"http://127.0.0.1:{port}"
    channel.tell(Mood.FAILED, "é <b>")
    for headers in ({}, {"Origin": own}, {"Sec_Fetch_Site": "same-origin"}):
        status, text, about = ask(port, "/_preview/events", **headers)
        assert status == 200
        assert about["Content-Type"] == "text/event-stream"
        assert json.loads(text.removeprefix("data: "))["says"] == "é <b>"
    foreign = [
        *({"Origin": each} for each in ("https://evil.example", "null", f"{own}0", f"http://localhost:{port}", "")),
        *({"Sec_Fetch_Site": each} for each in ("cross-site", "same-site", "none", "")),
    ]
    for headers in foreign:
        for path in ("/_preview/events", "/_preview/reload.js"):
            status, text, about = ask(port, path, **headers)
            assert status == 403, (path, headers)
            assert "Access-Control-Allow-Origin" not in about


# --- what is built ----------------------------------------------------------------------------------------------------


def sleep_in_the_chapter(paper: Paper, seconds: int) -> None:
    paper.edit("chapters/mean.ipynb", "summary = ", f"summary = __import__('time').sleep({seconds}) or ")


def build_for(paper: Paper, running: Running) -> tuple[dict[str, Outcome], set[str], list[str]]:
    plan = make_plan(Project(paper.root), load_study(paper.root, "tiny"))
    with build_lock(paper.root / "build") as lock:
        built, held = build_some(plan, 2, lock, running)
    return {name: result.outcome for name, result in built.results.items()}, set(built.executed), held


def test_stale_stages_wait_for_a_build_and_the_text_does_not(whole: Paper) -> None:
    whole.edit("src/tinylab/measure.py", '"eyes"', '"spots"')
    whole.edit("chapters/mean.ipynb", "The mean throw", "The reworded mean throw")
    outcomes, executed, held = build_for(whole, Running.CHAPTERS)
    assert executed == set()
    assert outcomes["tiny-s1/throw"] is Outcome.FRESH
    assert {outcomes[f"tiny-s1/{name}"] for name in ("measure", "mean", "spread")} == {Outcome.SKIPPED}
    assert held == [f"stage measure of tiny-s{n} is not up to date: module tinylab.measure changed" for n in (1, 2, 3)]
    assert "The reworded mean" in (whole.root / "build/chapters/tiny-s1/mean.ipynb").read_text()
    outcomes, executed, held = build_for(whole, Running.EVERYTHING)
    assert {"tiny-s1/measure", "tiny-s3/measure"} <= executed
    assert set(outcomes.values()) <= {Outcome.FRESH, Outcome.DONE}
    assert held == []


def test_stale_chapters_run_unless_nothing_may(whole: Paper) -> None:
    sleep_in_the_chapter(whole, 0)
    outcomes, executed, held = build_for(whole, Running.NOTHING)
    assert executed == set()
    assert outcomes["tiny-s1/mean"] is Outcome.SKIPPED
    assert held[0].startswith("chapter mean of tiny-s1 is not up to date: ")
    assert build_for(whole, Running.CHAPTERS)[1] == {f"tiny-s{seed}/mean" for seed in (1, 2, 3)}


@pytest.fixture(scope="module")
def printed_paper(built_paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(built_paper, tmp_path_factory.mktemp("printed") / "paper"))
    plan = make_plan(Project(root), load_study(root, "tiny"))
    with build_lock(root / "build") as lock:
        built, _ = build_some(plan, 2, lock, Running.NOTHING)
        PagePrinter(built, prepare(built), "embedded").render()
    return root


@pytest.fixture
def shown(printed_paper: Path, tmp_path: Path) -> Paper:
    """A copy of the tiny paper, built and printed."""
    return Paper(Path(shutil.copytree(printed_paper, tmp_path / "paper")))


# --- the command ------------------------------------------------------------------------------------------------------


def test_an_edit_is_shown_and_a_mistake_is_said_until_it_is_mended(shown: Paper) -> None:
    with previewing(shown) as preview:
        first = preview.mood("ready")
        assert len(first["printed"]) == 3
        chapters = {path: path.read_bytes() for path in (shown.root / "build/manifests").rglob("mean.json")}
        shown.edit("index.qmd", "A paper about dice", "A paper about many dice")
        until(lambda: "many dice" in preview.page())
        now = preview.mood("ready")
        assert now["printed"].keys() == first["printed"].keys()
        assert not now["printed"].items() & first["printed"].items()
        shown.edit("_quarto.yml", "chapters:", "chaptres:")
        news = preview.mood("failed")
        assert news["says"].startswith("_quarto.yml: ")
        assert "\n" not in news["says"]
        assert f"livingpaper: {news['says']}\n" in preview.said
        assert "many dice" in preview.page(), "the page stays"
        shown.edit("_quarto.yml", "chaptres:", "chapters:")
        assert preview.mood("ready")["says"] == ""
        assert {path: path.read_bytes() for path in chapters} == chapters, "no chapter ran"
        assert "reload.js" not in printed(shown.root)
        assert preview.end() == 0
        assert preview.said.endswith("preview ended\n")
        assert "Traceback" not in preview.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_leaves_nothing_running(shown: Paper, number: int) -> None:
    with previewing(shown) as preview:
        preview.mood("ready")
        sleep_in_the_chapter(shown, 60)
        until(lambda: "mean: began" in preview.said)
        until(lambda: any("livingpaper.execute.chapter" in each for each in running_in(shown.root)))
        code = preview.end(number)
        assert code == (0 if number == signal.SIGINT else -number)
        until(lambda: running_in(shown.root) == [], 30)
        assert "Traceback" not in preview.said
    with build_lock(shown.root / "build"):
        pass  # it is free


def test_a_change_during_a_build_makes_another_one(shown: Paper) -> None:
    with previewing(shown) as preview:
        preview.mood("ready")
        sleep_in_the_chapter(shown, 2)
        until(lambda: "mean: began" in preview.said)
        shown.edit("index.qmd", "about dice", "about quick dice")
        assert "quick dice" not in printed(shown.root)
        until(lambda: "quick dice" in printed(shown.root))
        preview.mood("ready")


def test_another_build_is_waited_for(shown: Paper) -> None:
    with build_lock(shown.root / "build"), previewing(shown) as preview:
        news = preview.mood("waiting")
        assert news["says"].startswith("build/lock: another build is at work here since ")
        assert preview.said.count("another build is at work") == 1
        assert preview.end() == 0
    with previewing(shown) as preview:
        preview.mood("ready")
        with build_lock(shown.root / "build"):
            shown.edit("index.qmd", "about dice", "about late dice")
            preview.mood("waiting")
        preview.mood("ready")
        assert "late dice" in preview.page()


def test_what_is_wrong_at_the_start_is_one_line(whole: Paper) -> None:
    def run(*words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
        done = subprocess.run(
            [*COMMAND, *words], cwd=whole.root, env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        return done.stderr

    assert run("--no-run", "--run-stages").endswith("contradict each other; give one of them\n")
    assert "params 'huge': no such preset" in run("--preset", "huge")
    with open_preview(whole.root / "_site", 0, Channel()) as server:
        assert f"--port {server.server_port}: cannot be used" in run("--port", str(server.server_port))


def test_before_anything_was_built_there_is_a_page_that_waits(fresh: Paper) -> None:
    with previewing(fresh) as preview:
        assert "No such page yet" in preview.page() or "Dice" in preview.page()
        news = preview.mood("failed")
        assert "artifacts/studies/tiny/chosen.json: not found (and 14 more, in the terminal)" in news["says"]
        assert "not run, and stamped with all that rests on it: stage throw of tiny-s1" in preview.said
        assert "could not be made" in preview.page("chapters/mean.html")
