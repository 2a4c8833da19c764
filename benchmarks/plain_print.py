"""Prints the pages of a built paper with pandoc and Typst and nothing else: HTML of each page, and one PDF a run."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pypandoc
import typst
import yaml


def main() -> None:
    """Print every executed run of the project in this folder into a scratch folder."""
    chapters = yaml.safe_load(Path("_quarto.yml").read_text())["book"]["chapters"]
    pages = [page for entry in chapters for page in (entry["chapters"] if isinstance(entry, dict) else [entry])]
    for run in sorted(path for path in Path("build/chapters").iterdir() if path.is_dir()):
        with TemporaryDirectory() as folder:
            _print(run, pages, Path(folder))


def _print(run: Path, pages: list[str], folder: Path) -> None:
    media = f"--extract-media={folder}"
    parts = []
    for number, page in enumerate(pages):
        notebook = page.endswith(".ipynb")
        source = str(run / Path(page).name) if notebook else page
        read = ["-f", "ipynb" if notebook else "markdown", source, media]
        _pandoc(*read, "-s", "--mathml", "-M", "title=A page", "-t", "html5", "-o", str(folder / f"{number}.html"))
        parts.append(_pandoc(*read, "-t", "json"))
    whole = folder / "paper.typ"
    texts = [_pandoc("-f", "json", "-t", "typst-citations", text=part) for part in parts]
    whole.write_text("#let horizontalrule = line()\n" + "\n".join(texts).replace(str(folder), ""))
    typst.compile(str(whole), output=str(folder / "paper.pdf"), root=str(folder))


def _pandoc(*arguments: str, text: str = "") -> str:
    command = [pypandoc.get_pandoc_path(), "--quiet", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
