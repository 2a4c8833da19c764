"""Publishing a collection: a folder of `artifacts/studies/` that no preset owns, such as comparisons across presets.

No stage makes it: it is made by hand, from more runs than a build can make, and its files say themselves what they were
made from. Published, it is read from `results/` alone, as guests are; else from `artifacts/`.
"""

from datetime import UTC, datetime

from livingpaper import patterns
from livingpaper.errors import PublicationError
from livingpaper.files import bytes_digest
from livingpaper.project import Project
from livingpaper.published.publication import SCHEMA
from livingpaper.published.publish import Edition, check_sizes, machine, version
from livingpaper.workflow import Collection


def collect_collection(project: Project, collection: Collection) -> Edition:
    """What there is to publish of a collection; nothing is written yet. One without files is refused."""
    globs = [f"studies/{collection.name}/{pattern}" for pattern in collection.publish]
    names = sorted({file for glob in globs for file in patterns.expand(project.artifacts, glob)})
    if not names:
        raise PublicationError(
            f"publish {collection.name!r}: artifacts/studies/{collection.name}/ has none of "
            f"{', '.join(collection.publish)}; run: {collection.regenerate}"
        )
    files = {file: (project.artifacts / file).read_bytes() for file in names}
    check_sizes(files)
    record: dict[str, object] = {
        "schema": SCHEMA,
        "name": collection.name,
        "preset": collection.name,
        "published": datetime.now(UTC).date().isoformat(),
        "version": version(project),
        "machine": machine(),
        "seconds": 0.0,
        "regenerate": collection.regenerate,
        "params": {},
        "modules": {},
        "reads": {},
        "stages": {},
        "files": {file: {"sha256": bytes_digest(data), "bytes": len(data)} for file, data in files.items()},
    }
    return Edition(collection.name, record, files)
