"""Quarto's `pre-render`: builds the paper, so that `quarto render` alone is enough.

Hands over to the project's own Python (`.venv`, made by `make .venv` where it is missing) and `livingpaper build`. When
that build is what started Quarto, there is nothing to do but to let go of what Quarto remembers.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import project

GUARD = "LIVINGPAPER_BUILDING"


def main():
    """Build, then make Quarto read the executed chapters anew."""
    folder = project.root()
    if not os.environ.get(GUARD):
        build(folder)
    forget(folder)
    errors = os.path.join(folder, "build", "print", project.printed(folder).get("run", ""), "errors.txt")
    if os.path.isfile(errors):
        os.remove(errors)  # of an earlier printing


def build(folder):
    """Run `livingpaper build` as it was run last for what is printed; a failed build ends the rendering."""
    command = [press(folder), "build", "--no-render", *arguments(folder)]
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode == 2:
        project.fail("the build was refused (see above)")
    if done.returncode:
        # a chapter failed: its page says so; the post-render hook sets the exit code
        print("livingpaper: the build had failures; the pages show what there is", file=sys.stderr)


def arguments(folder):
    """What the build is given: as for the last printing of the profile's run, else the preset its name begins with.

    A published run is printed beside another study; what printed it is not to train it now.
    """
    runs = [name for name in project.profiles() if re.fullmatch(r"[a-z0-9][a-z0-9_-]*-s\d+", name)]
    handed = project.handed(folder, runs[0]) if runs else project.printed(folder)
    known = handed.get("build")
    if isinstance(known, list) and all(isinstance(word, str) for word in known):
        return known
    return ["--preset", runs[0].rpartition("-s")[0]] if runs else []


def press(folder):
    """The project's `livingpaper` command; its `.venv` is made first where it is missing."""
    windows = os.name == "nt"
    command = os.path.join(folder, ".venv", *(("Scripts", "livingpaper.exe") if windows else ("bin", "livingpaper")))
    if not os.path.isfile(command):
        make = shutil.which("make")
        if make is None:
            project.fail("make is not installed; install the package make, then run: make .venv")
        if subprocess.run([make, ".venv"], cwd=folder, check=False).returncode or not os.path.isfile(command):
            project.fail("make .venv failed (see above)")
    return command


def forget(folder):
    """Give the notebook filter a time that only today's executed chapters have.

    Quarto keeps filtered notebooks for as long as source and filter keep their times, whatever the filter read and
    whichever profile is printed. The time is a digest of what the filter reads, so the same chapters are still reused.
    """
    handed = project.printed(folder)
    total = hashlib.sha256(repr(sorted((k, v) for k, v in handed.items() if k != "notebooks")).encode())
    for source, place in sorted(handed.get("notebooks", {}).items()):
        path = os.path.join(folder, place)
        content = b""
        if os.path.isfile(path):
            with open(path, "rb") as file:
                content = file.read()
        total.update(source.encode() + b"\0" + hashlib.sha256(content).digest())
    with open(project.FILTER, "rb") as file:
        total.update(file.read())
    seconds = 1_000_000_000 + int(total.hexdigest()[:7], 16)  # whole seconds: Quarto compares no finer
    os.utime(project.FILTER, (seconds, seconds))


if __name__ == "__main__":
    main()
