"""Publishing keeps what the pages show, no more and no less; it refuses what is not up to date."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from livingpaper.errors import PublicationError
from livingpaper.published import publish as publishing
from livingpaper.published.publication import FILE
from tests.livingpaper.conftest import Paper
from tests.livingpaper.published.conftest import plan_of, publish


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def say(paper: Paper, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGPAPER_")}
    command = [sys.executable, "-m", "livingpaper.cli", *words]
    return subprocess.run(command, cwd=paper.root, env=environment, capture_output=True, text=True, check=False)


def test_what_pages_and_claims_show_is_kept_and_nothing_else(published: Paper) -> None:
    results = published.root / "results"
    assert files(results / "tiny-s1") == {
        FILE,
        "runs/tiny-s1/evidence.json",
        "runs/tiny-s1/summary.json",
    }, "no throws: no page shows them"
    assert files(results / "tiny") == {FILE, "studies/tiny/chosen.json"}
    record = json.loads((results / "tiny-s1" / FILE).read_text())
    assert set(record["stages"]) == {"tiny-s1/throw", "tiny-s1/measure"}
    assert record["modules"].keys() >= {"tinylab.throw", "tinylab.measure", "tinylab.door", "tinylab.statistics"}
    assert record["params"]["dice"]["sides"] == 6
    assert record["regenerate"] == "livingpaper build --preset tiny"
    for name in record["files"]:
        assert (results / "tiny-s1" / name).read_bytes() == (published.root / "artifacts" / name).read_bytes()


def test_publishing_again_changes_nothing(published: Paper) -> None:
    results = published.root / "results"
    before = {name: (results / name).stat().st_mtime_ns for name in files(results)}
    for name in ("tiny-s1", "tiny"):
        _, renewed = publish(published.root, name)
        assert not renewed
    assert before == {name: (results / name).stat().st_mtime_ns for name in files(results)}


def test_a_damaged_publication_is_made_whole(published: Paper) -> None:
    victim = published.root / "results/tiny-s1/runs/tiny-s1/summary.json"
    before = victim.read_bytes()
    victim.write_text("{}")
    _, renewed = publish(published.root, "tiny-s1")
    assert renewed
    assert victim.read_bytes() == before


@pytest.mark.parametrize(
    ("file", "old", "new", "who"),
    [
        ("src/tinylab/measure.py", "throws.count(side)", "sum(x == side for x in throws)", "stage measure of tiny-s1"),
        ("chapters/spread.ipynb", "import door", "import door as door", "chapter spread of tiny-s1"),
        ("params/base.yml", "sides: 6 ", "sides: 8 ", "stage throw of tiny-s1"),
    ],
)
def test_what_is_not_up_to_date_is_refused_by_name(published: Paper, file: str, old: str, new: str, who: str) -> None:
    published.edit(file, old, new)
    with pytest.raises(PublicationError, match=rf"^{who}: not up to date .*; run: livingpaper build --preset tiny$"):
        publish(published.root, "tiny-s1")


def test_an_edit_that_a_memo_would_miss_is_seen(published: Paper) -> None:
    """The memo may be wrong; a publication never is."""
    part = published.root / "artifacts/runs/tiny-s1/throws/part_1.json"
    memo = published.root / "build/memo.json"
    part.write_text(part.read_text() + " " * 70_000)
    about = part.stat()
    data = json.loads(memo.read_text())
    told = json.loads((published.root / "build/manifests/tiny-s1/throw.json").read_text())["outputs"]
    mark = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
    data["files"][str(part)] = [*mark, told["artifacts/runs/tiny-s1/throws/part_1.json"]]
    memo.write_text(json.dumps(data))
    with pytest.raises(PublicationError, match="stage throw of tiny-s1: not up to date"):
        publish(published.root, "tiny-s1")


def test_a_file_that_is_too_big_is_refused_with_its_size(published: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "LIMIT", 10)
    with pytest.raises(PublicationError, match=r"artifacts/runs/tiny-s1/evidence.json: [\d,]+ bytes; .* under 10"):
        publish(published.root, "tiny-s1")


def test_a_publication_that_fails_leaves_the_old_one(published: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    place = published.root / "results/tiny-s1"
    before = {name: (place / name).read_bytes() for name in files(place)}
    published.edit("params/base.yml", "confidence: 1.96", "confidence: 2.5")
    published.build()

    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(publishing, "write_json", full)
    with pytest.raises(OSError, match="no room"):
        publish(published.root, "tiny-s1")
    assert {name: (place / name).read_bytes() for name in files(place)} == before
    assert [path.name for path in place.parent.glob(".*")] == []
    monkeypatch.undo()
    _, renewed = publish(published.root, "tiny-s1")
    assert renewed
    assert {name: (place / name).read_bytes() for name in files(place)} != before


def test_the_command_publishes_a_preset_and_refuses_the_rest(whole: Paper) -> None:
    done = say(whole, "publish", "tiny")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"results/{name}: published" for name in ("tiny-s1", "tiny-s2", "tiny-s3", "tiny")
    ]
    assert say(whole, "publish", "tiny-s2").stderr == "results/tiny-s2: unchanged\n"
    for wrong, message in {
        "tiny-s9": "publish 'tiny-s9': not a run of params/tiny.yml; its seeds make: tiny-s1, tiny-s2, tiny-s3",
        "../tiny-s1": "run '../tiny-s1': expected <preset>-s<seed>",
        "nothing": "run 'nothing': expected <preset>-s<seed>",
    }.items():
        done = say(whole, "publish", wrong)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr


def test_half_a_study_is_never_published(published: Paper) -> None:
    (published.root / "artifacts/runs/tiny-s2/summary.json").write_text("{}")
    results = published.root / "results"
    before = {name: (results / name).read_bytes() for name in files(results)}
    done = say(published, "publish", "tiny")
    assert done.returncode == 2
    assert "stage measure of tiny-s2: not up to date" in done.stderr
    assert before == {name: (results / name).read_bytes() for name in files(results)}


@pytest.mark.parametrize("rename", [1, 2])
def test_killed_between_its_renames_it_goes_on(published: Paper, monkeypatch: pytest.MonkeyPatch, rename: int) -> None:
    """Whatever a kill leaves behind hinders nobody, and the next publishing puts it right."""
    published.edit("params/base.yml", "confidence: 1.96", "confidence: 2.5")
    published.build()
    rename_, done = os.rename, []

    def killed(*names: object) -> None:
        rename_(*names)  # type: ignore[arg-type]
        done.append(names)
        if len(done) == rename:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing.os, "rename", killed)
        patch.setattr(publishing, "_recover", lambda place: None)
        patch.setattr(publishing.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            publish(published.root, "tiny-s1")
    assert [path.name for path in (published.root / "results").glob(".tiny-s1.*")] != []
    plan_of(published.root)
    assert publish(published.root, "tiny-s1")[1] is (rename == 1)
    plan_of(published.root, published=False)
    assert [path.name for path in (published.root / "results").glob(".*")] == ([] if rename == 1 else [".tiny-s1.old"])


def test_a_broken_record_can_be_published_over(published: Paper) -> None:
    (published.root / "results/tiny-s1/publication.json").write_text("[")
    assert say(published, "publish", "tiny-s1").stderr == "results/tiny-s1: published\n"
