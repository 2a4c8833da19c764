"""Names that would lead elsewhere, wherever a name becomes a path: nothing outside the project is opened or shown."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from livingpaper.errors import PressError
from livingpaper.project import Project
from livingpaper.published.publication import load_publication
from livingpaper.render import RenderError, render
from livingpaper.values import inlines, resolve
from tests.livingpaper.conftest import TINY
from tests.livingpaper.render import tiny
from tests.livingpaper.render.dom import read
from tests.trials.calling import Said, guarded, laboratory, press
from tests.trials.conftest import Trial
from tests.trials.hostile import NAMES
from tests.trials.outside import SECRET, Place, opened
from tests.trials.test_text_claims import prepared


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("paths"))


@contextmanager
def edited(path: Path, text: str) -> Iterator[None]:
    """A file with other content for a while."""
    old = path.read_bytes() if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_bytes(old)


def ended(told: Said) -> str:
    """What was said; a command that did not end as one raises."""
    assert told.code in (0, 1, 2), told.trace
    assert len(told.lines) <= 1 or told.code != 2, told.err
    return told.err


def preset(place: Place, name: str) -> str:
    return ended(press(place.root, "claims", f"--preset={name}"))


def run(place: Place, name: str) -> str:
    return ended(laboratory(place.root, "create-run", f"--run={name}"))


def target(place: Place, name: str) -> str:
    return ended(press(place.root, "explain", "--preset=tiny", "--", name))


def published(place: Place, name: str) -> str:
    return ended(press(place.root, "publish", "--", name))


def evidence(place: Place, name: str) -> str:
    claims = yaml.safe_load((TINY / "paper/claims.yml").read_text())
    said = ""
    for pointer in (f"{name}#/a", f"{name}.json#/a"):
        claims[0]["evidence"] = pointer
        with edited(place.root / "paper/claims.yml", yaml.dump(claims)):
            said += ended(press(place.root, "claims", "--preset=tiny"))
            said += (
                (place.root / "build/claims.json").read_text() if (place.root / "build/claims.json").is_file() else ""
            )
    return said


def book(key: str) -> Callable[[Place, str], str]:
    def attempt(place: Place, name: str) -> str:
        data = yaml.safe_load((TINY / "_quarto.yml").read_text())
        if key == "chapters":
            data["book"]["chapters"].append(name)
        elif key == "output-dir":
            data["project"]["output-dir"] = name
        else:
            data[key] = name
        with edited(place.root / "_quarto.yml", yaml.dump(data)):
            return ended(press(place.root, "claims", "--preset=tiny"))

    return attempt


def pattern(key: str, form: str) -> Callable[[Place, str], str]:
    def attempt(place: Place, name: str) -> str:
        data = yaml.safe_load((TINY / "paper/workflow.yml").read_text())
        data["stages"][1][key] = [form.replace("NAME", name), "evidence.json", "summary.json"]
        with edited(place.root / "paper/workflow.yml", yaml.dump(data)):
            return ended(press(place.root, "explain", "measure", "--preset=tiny"))

    return attempt


def held_in_an_artifact(place: Place, name: str) -> str:
    data = yaml.safe_load((TINY / "paper/workflow.yml").read_text())
    data["stages"][1]["reads"].append("shared:benchmarks/{summary.json#/where}/**")
    with (
        edited(place.root / "paper/workflow.yml", yaml.dump(data)),
        edited(place.root / "artifacts/runs/tiny-s1/summary.json", json.dumps({"where": name})),
        edited(place.root / "artifacts/studies/tiny/chosen.json", json.dumps({"run": name})),
    ):
        said = ended(press(place.root, "explain", "measure", "--preset=tiny"))
        try:
            prepared(place.root)
        except PressError as error:
            return said + str(error)
    return said


def preset_file(place: Place, name: str) -> str:
    """A preset whose file bears the name, where a file can."""
    if "/" in name or "\0" in name or len(name) > 200 or name in ("tiny", "slow", "base"):
        return ""
    with edited(place.root / "params" / f"{name.encode('utf-8', 'replace').decode()}.yml", "seeds: [1]\n"):
        return ended(press(place.root, "explain", "throw", f"--preset={name}"))


def number(place: Place, name: str) -> str:
    with edited(place.root / "index.qmd", f"# T\n\n`{name}#/a/reason`{{.value}} `{name}.json#/a`{{.value}}\n"):
        project = Project(place.root)
        said = ""
        for inline in inlines(place.root, project.pages):
            said += guarded(lambda inline=inline: resolve(_homes(project), "tiny", "tiny-s1", inline))  # type: ignore[misc]
        return said.replace(SECRET, "") if "PointerError" in said else said


def _homes(project: Project) -> Any:
    from livingpaper.published.homes import Homes

    return Homes(project)


def kept(place: Place, name: str) -> str:
    """A publication that says to hold a file of this name."""
    about = {"sha256": "0" * 64, "bytes": 1}
    record = {"schema": "publication/1", "name": "tiny-s1", "preset": "tiny", "published": "2026-01-01"}
    record |= {"version": {"commit": None, "modified": False}, "machine": {}, "seconds": 1.0, "regenerate": "x"}
    record |= {"params": {}, "modules": {}, "stages": {}, "files": {name: about}}
    with edited(place.root / "results/tiny-s1/publication.json", json.dumps(record)):
        said = guarded(lambda: load_publication(Project(place.root), "tiny-s1"))
        assert not said or "PublicationError" in said, said
        return ended(press(place.root, "claims", "--preset=tiny", "--published"))


PLACES: dict[str, Callable[[Place, str], str]] = {
    "--preset": preset,
    "--run": run,
    "a preset's file": preset_file,
    "explain": target,
    "publish": published,
    "evidence of a claim": evidence,
    "chapters of the book": book("chapters"),
    "output-dir of the book": book("output-dir"),
    "bibliography of the book": book("bibliography"),
    "reads of a stage": pattern("reads", "NAME"),
    "writes of a stage": pattern("writes", "NAME"),
    "a pointer in a pattern": pattern("reads", "shared:x/{NAME#/a}/*"),
    "a name in an artifact": held_in_an_artifact,
    "a number in prose": number,
    "a file of a publication": kept,
}


def test_the_watch_sees_what_is_opened(place: Place) -> None:
    for name in (place.outside / "canary.txt", place.root / "door/canary.txt"):
        with opened() as found:
            text = name.read_text()
        assert place.wrong(found, "") != ""
        assert place.wrong([], text) == "its content was shown"
    with opened() as found:
        (place.root / "_quarto.yml").read_text()
    assert len(found) == 1
    assert place.wrong(found, "") == ""


def test_no_link_leads_out_of_the_project(tmp_path: Path, trial: Trial) -> None:
    """Every name as a link and as a picture of a page: none brings a file in, or leads to where the site is not."""
    names = [name for name in NAMES if not set(name) & set("\n\0\ud800<>") and name.strip()]
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary.txt").write_text(SECRET)
    (tmp_path / "outside/p.svg").write_text(f"<svg><text>{SECRET}</text></svg>")
    root = tmp_path / "paper"
    named = [name.replace("{outside}", str(tmp_path / "outside")) for name in names]
    words = [f"[{n}](<{name}>)" for n, name in enumerate(named)]
    words += [f"![{n}](<{name.replace('canary.txt', 'p.svg')}>)" for n, name in enumerate(named)]
    tiny.make_page(root, "# T\n\n" + "\n\n".join(words) + "\n")
    (root / "door").symlink_to(tmp_path / "outside")
    with opened() as found, pytest.raises(RenderError, match=r"index\.qmd: link"):
        render(root, tiny.page_printing(root), "embedded")
    site = {path.relative_to(root / "_site").as_posix(): path.read_bytes() for path in (root / "_site").rglob("*.*")}
    targets = [one.attributes.get("href", "") for one in read(root / "_site/index.html").one("article").all("a")]
    out = [one for one in targets if one.startswith(("/", "..", "file", "javascript")) or "://" in one]
    strayed = [name for name in found if os.path.realpath(name).startswith(str(tmp_path / "outside"))]
    strayed += [name for name, data in site.items() if SECRET.encode() in data]
    wrong = [*out, *strayed]
    trial.row(
        "Text",
        "a hostile name as a link or picture of a page",
        2 * len(names),
        2 * len(names) - len(wrong),
        "; ".join(wrong[:5]),
    )


@pytest.mark.parametrize("what", PLACES)
def test_no_name_leads_out_of_the_project(place: Place, trial: Trial, what: str) -> None:
    start = list(PLACES).index(what)
    names = [place.name(name) for name in (NAMES[start % 3 :: 3] if trial.full else NAMES[start::25])]
    wrong = []
    for name in names:
        said: list[str] = []
        with opened() as found:
            trouble = guarded(lambda name=name: said.append(PLACES[what](place, name)))  # type: ignore[misc]  # noqa: B023
        trouble = trouble[-700:] or place.wrong(found, "".join(said))
        wrong += [f"{name[:60]!r}: {trouble}"] if trouble else []
    trial.row(
        "Text",
        f"a hostile name as {what}: nothing outside opened or shown",
        len(names),
        len(names) - len(wrong),
        "; ".join(wrong[:5]),
    )
