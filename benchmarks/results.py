"""What a benchmark hands to the page: rows of the table, and series of how something grows."""

from dataclasses import dataclass, field

from benchmarks.measuring import Contender, Measured


@dataclass(frozen=True)
class Row:
    """One contender beside the press's own time for the same work; the press itself where `peer` is empty."""

    what: str
    command: str
    measured: Measured
    limit: float | None = None  # seconds the press may take by the clock
    peer: str = ""
    ratio: tuple[float, float] | None = None  # the press's wall and CPU time in those of the peer
    note: str = ""


@dataclass(frozen=True)
class Series:
    """How a time grows with a number of runs or chapters."""

    what: str  # "no-op build"
    over: str  # "runs", at a fixed number of the other
    points: tuple[tuple[int, Measured], ...]

    @property
    def slope(self) -> float:
        """Seconds of CPU time per run or chapter, by least squares."""
        xs, ys = [float(x) for x, _ in self.points], [measured.cpu for _, measured in self.points]
        mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
        spread = sum((x - mean_x) ** 2 for x in xs)
        return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread

    @property
    def bend(self) -> float | None:
        """The last stretch's slope in units of the first one's: 1 is a straight line, more bends upwards."""
        if len(self.points) < 3:
            return None
        (a, first), (b, second), *_ = self.points
        (c, third), (d, fourth) = self.points[-2:]
        begins, ends = (second.cpu - first.cpu) / (b - a), (fourth.cpu - third.cpu) / (d - c)
        return ends / begins if begins > 0 else None


@dataclass(frozen=True)
class Training:
    """Training steps of one contender at one size; ours where there is no `ratio`."""

    size: str
    by: str
    tokens: float  # target tokens a second, median over blocks of steps
    slowest: float
    fastest: float
    milliseconds: float  # of a step
    peak_share: float  # operations a second of CPU time, in those of this machine's own float32 product
    ratio: tuple[float, float] | None  # our tokens a second in those of this peer, by the clock and by CPU time
    note: str = ""


@dataclass
class Results:
    """Everything one run of the benchmarks found."""

    rows: list[Row] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    training: list[Training] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # peers that are not installed


def beside(
    what: str, own: Contender, measured: dict[str, Measured], peers: dict[str, Contender], limit: float | None = None
) -> list[Row]:
    """The press's row, and one for each peer that was timed with it, by its name with version."""
    mine = measured[own.name]
    rows = [Row(what, own.shown, mine, limit)]
    for spoken, peer in peers.items():
        theirs = measured[peer.name]
        ratio = (mine.wall / theirs.wall, mine.cpu / max(theirs.cpu, 1e-3))
        rows.append(Row(what, peer.shown, theirs, peer=spoken, ratio=ratio))
    return rows
