"""Create or refresh `.venv` from `requirements.lock`; safe to repeat and to interrupt.

Run by `make` with whatever Python it finds, so: standard library only, and syntax that any Python since 3.6 reads, so
that it can say it is too old.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "installed-from.txt")  # written last: its absence means an unfinished installation
LOCK = os.path.join(ROOT, "requirements.lock")
OLDEST = (3, 11)


def main():
    """Bring `.venv` up to date with the lock; exit code 2 and one line if this machine lacks something."""
    refuse_unfit_python()
    with open(os.path.join(ROOT, ".venv.lock"), "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two makes at once: the second waits, then finds everything done
        wanted = digest()
        if read(STAMP) == wanted:
            return
        if not os.path.exists(os.path.join(VENV, "bin", "python")):
            run([sys.executable, "-m", "venv", VENV], "creating .venv")
        python = os.path.join(VENV, "bin", "python")
        install(python)
        run(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation",
             "-e", ROOT],
            "installing this project",
        )  # fmt: skip
        with open(STAMP + ".part", "w") as file:
            file.write(wanted)
        os.replace(STAMP + ".part", STAMP)


def refuse_unfit_python():
    """Name what is missing, and the package that has it."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        fail(f"Python {found} is too old: install the package python3.11 (or newer), then run make PYTHON=python3.11")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        major, minor = sys.version_info[:2]
        fail(f"this Python has no venv module: install the package python{major}.{minor}-venv, then run make again")


def install(python):
    """Install the lock, with a count of packages and the time left."""
    with open(LOCK) as file:
        total = sum(1 for line in file if "==" in line and not line.startswith("#"))
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "-r", LOCK]
    began = time.time()
    show(f"installing {total} packages, a minute or two\n")
    seen = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    for line in process.stdout:
        seen.append(line)
        done = sum(1 for text in seen if text.startswith(("Collecting", "Requirement already satisfied")))
        if line.startswith("Installing collected packages"):
            show(f"unpacking {total} packages (about a minute more)")
        elif line.startswith("Collecting") and done:
            left = (time.time() - began) / done * (total - done)
            show(f"package {done} of {total}, about {max(left, 1):.0f} s left to fetch")
    if process.wait():
        sys.stderr.write("\n" + "".join(line for line in seen[-15:] if "WARNING: Location" not in line))
        fail("pip could not install requirements.lock; see above, then run make again (what was fetched is kept)")
    show(f"packages installed in {time.time() - began:.0f} s\n")


def show(text):
    """One line that replaces itself on a terminal; elsewhere only the last one is printed."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K.venv: " + text)
    elif text.endswith("\n"):
        sys.stderr.write(".venv: " + text)
    sys.stderr.flush()


def run(command, what):
    """Run a command; if it fails, say what was being done."""
    show(what)
    if subprocess.call(command, cwd=ROOT):
        fail(f"{what} failed; see above")


def digest():
    """What an installation is made from: the lock, the project's own metadata, this Python's version."""
    total = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            total.update(file.read())
    return total.hexdigest()


def read(path):
    """A small text file, or nothing."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def fail(message):
    """One line, exit code 2."""
    sys.stderr.write("\nmake: " + message + "\n" if sys.stderr.isatty() else "make: " + message + "\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
