"""Which printings are rendered: pages are stale if anything they are made of changed, and only then.

Pages depend on the book's description and sources, on the executed chapters, on the fragments, on the files they link
to, and on the renderer's own code and packages. Nothing is executed here.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath

import livingpaper
from livingpaper.build import Built
from livingpaper.errors import PointerError, PressError
from livingpaper.files import digest, inside
from livingpaper.params import RUN_NAME
from livingpaper.press import Prepared
from livingpaper.printing import Printing
from livingpaper.project import Project
from livingpaper.staleness.differences import changed_input
from livingpaper.staleness.imports import CodeIndex
from livingpaper.staleness.manifest import Inputs, Manifest, read_manifest, write_manifest
from livingpaper.values import prose

PRINT = "_print"  # the name under which a printing has its manifest
_SOURCES = ("_quarto.yml", "*.qmd", "*.bib", "paper/**/*", "docs/**/*", "params/**/*.yml", "requirements.lock")
_LINK = re.compile(r"\]\(\s*<?([^)\s<>#?]+)")


class PagePrinter:
    """Renders the printings of one build."""

    def __init__(self, built: Built, prepared: Prepared, renderer: str) -> None:
        self._built = built
        self._prepared = prepared
        self._renderer = renderer
        self._project = built.plan.project
        self._memo = built.authority.memo

    def render(self, seen: Callable[[Printing], None] = lambda _: None) -> list[str]:
        """Render what is stale, the main printing first and the others side by side; names of the rendered runs.

        `seen` is told of each printing as soon as it is up to date.
        """
        self._project.claim_site()
        every = self._prepared.printings
        # Quarto works in the project's folder, and its main printing empties those of the others: one, then the next
        groups = [[one] for one in every] if self._with_quarto else [every[:1], every[1:]]
        rendered = [run for group in groups for run in self._render_together(group, seen)]
        self._sweep()
        self._memo.save()
        return rendered

    def _render_together(self, printings: Sequence[Printing], seen: Callable[[Printing], None]) -> list[str]:
        """Render what is stale of some printings; threads suffice, for pandoc, Typst and Pagefind do most of it."""
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            begun = [(printing, self._begin(printing, pool)) for printing in printings]
            for printing, work in begun:
                if work is not None and (error := work.result()):
                    self._prepared.errors.append(error)
                seen(printing)
        finally:  # interrupted: what has begun ends, the rest does not begin
            pool.shutdown(cancel_futures=True)
        return [printing.run for printing, work in begun if work is not None]

    def _begin(self, printing: Printing, pool: ThreadPoolExecutor) -> "Future[str] | None":
        """Hand a stale printing to a worker; `None` if its pages are up to date."""
        reason = self.why(printing)
        if reason is None:
            return None
        print(f"{printing.run}: printing into {printing.output} ({reason})", file=sys.stderr, flush=True)
        return pool.submit(self._render, printing, reason)

    def why(self, printing: Printing) -> str | None:
        """Why a printing has to be rendered, or `None` if its pages are up to date."""
        manifest = read_manifest(self._project.manifest(printing.run, PRINT))
        if manifest is None:
            return "it was not printed yet, or not without errors"
        reads = self._reads(printing)
        changed = sorted(name for name in manifest.reads.keys() | reads if manifest.reads.get(name) != reads.get(name))
        if changed:
            return f"{changed[0]} changed"
        reason = changed_input(manifest.inputs, self._inputs(printing))
        if reason is None and manifest.outputs != self._outputs(printing):
            reason = f"{printing.output} is not as it was printed"
        return reason

    def _render(self, printing: Printing, reason: str) -> str:
        """Render one printing; says what is wrong on its pages, and it has a manifest only if nothing is."""
        from livingpaper.render import render

        path = self._project.manifest(printing.run, PRINT)
        path.unlink(missing_ok=True)
        inputs, reads = self._inputs(printing), self._reads(printing)
        try:
            render(self._project.root, printing, self._renderer)
        except PressError as error:
            return str(error)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        write_manifest(path, Manifest(inputs, "", reads, self._outputs(printing), reason, 0.0, finished))
        return ""

    def _sweep(self) -> None:
        """Remove printings of runs that the paper no longer prints: of another preset, or the main one's old place."""
        site = self._project.root / self._project.book.output
        current = {self._project.root / printing.output for printing in self._prepared.printings}
        for folder in (site / "runs").glob("*"):
            if folder not in current and RUN_NAME.fullmatch(folder.name) and folder.is_dir():
                shutil.rmtree(folder)

    def _inputs(self, printing: Printing) -> Inputs:
        """What of a printing is no file, and what renders it."""
        about = [printing.main, printing.runs, dict(printing.stale), dict(printing.errors), str(printing.output)]
        about.append(printing.evidence)
        return {"params": {"of the printing": digest(about)}, **self._renders}

    @cached_property
    def _with_quarto(self) -> str | None:
        """Quarto, if it may be used and is there."""
        return shutil.which("quarto") if self._renderer in ("auto", "quarto") else None

    @cached_property
    def _renders(self) -> Inputs:
        """The renderer: its code, its packages, and Quarto if it may be used."""
        source = Path(livingpaper.__file__).parents[1]
        closure = CodeIndex(source, self._memo).closure(["livingpaper.render"])
        quarto = self._with_quarto
        return {
            "command": {"command": f"{self._renderer} {os.stat(quarto).st_mtime_ns if quarto else ''}"},
            "code": closure.modules,
            "packages": self._built.authority.lock.entries(closure.outside),
        }

    def _reads(self, printing: Printing) -> dict[str, str | None]:
        """Digest of every file the pages of a printing are made of; where a chapter was executed, not its source."""
        sources = self._project.chapters.values()
        chapters = {printing.notebooks.get(source, self._project.root / source) for source in sources}
        return {**self._shared_reads, **self._digests({printing.fragments, *chapters})}

    @cached_property
    def _shared_reads(self) -> dict[str, str | None]:
        """Digest of every file that all printings have in common."""
        root = self._project.root
        profiles = {root / f"_quarto-{printing.run}.yml" for printing in self._prepared.printings}  # made for Quarto
        files = {path for pattern in _SOURCES for path in root.glob(pattern)} - profiles
        files |= {root / page for page in self._project.pages if page not in self._project.chapters.values()}
        files |= set(linked(self._project))
        files |= {root / run.path for judgement in self._prepared.judgements for run in judgement.runs}
        files |= set((Path(livingpaper.__file__).parent / "render" / "assets").rglob("*"))
        return self._digests(files)

    def _digests(self, files: set[Path]) -> dict[str, str | None]:
        found = {self._project.relative(path): self._memo.digest(path) for path in sorted(files)}
        return {name: value for name, value in found.items() if value is not None}

    def _outputs(self, printing: Printing) -> dict[str, str]:
        """Digest of every file of the printing."""
        folder = self._project.root / printing.output
        others = folder / "runs"
        paths = (path for path in folder.rglob("*") if not (printing.main and path.is_relative_to(others)))
        found = {self._project.relative(path): self._memo.digest(path) for path in sorted(paths)}
        return {name: value for name, value in found.items() if value is not None}


def linked(project: Project) -> Iterator[Path]:
    """Files of the project that prose links to or shows."""
    for page in project.pages:
        for text in prose(project.root / page):
            for target in _LINK.findall(text):
                path = target.lstrip("/") if target.startswith("/") else str(PurePosixPath(page).parent / target)
                try:
                    yield inside(project.root, os.path.normpath(path))
                except (PointerError, ValueError):
                    continue
