"""What probes are asked: a stream read by hand, and a benchmark told token by token."""

from formation.benchmark.streams import Special, SplitName
from formation.components.probe_targets import MOST_OVERWRITES, NO_LABEL, Target, class_counts, labels
from tests.formation.benchmark import planted
from tests.formation.components import small


def test_labels_of_a_stream_read_by_hand() -> None:
    split = planted.split("a1 b2 a3 a?3 b?2 a4 a5 a6 a?6")
    assert {target: column.tolist() for target, column in labels(split).items()} == {
        Target.QUERY_KEY: [0, 1, 0],
        Target.CURRENT_VALUE: [3, 2, 6],
        Target.MATCHING_SLOT: [2, 1, 5],
        Target.STALE_VALUE: [1, NO_LABEL, 5],
        Target.OVERWRITES: [1, 0, MOST_OVERWRITES],
    }
    assert class_counts(split) == {
        Target.QUERY_KEY: planted.KEYS,
        Target.CURRENT_VALUE: planted.VALUES,
        Target.MATCHING_SLOT: 6,
        Target.STALE_VALUE: planted.VALUES,
        Target.OVERWRITES: MOST_OVERWRITES + 1,
    }


def test_labels_of_a_benchmark_token_by_token() -> None:
    split = small.dataset().splits[SplitName.STRUCTURAL_OOD]
    found, counts = labels(split), class_counts(split)
    key, value = split.vocabulary.key(0), split.vocabulary.value(0)
    for read, stream in enumerate(split.reads.stream):
        tokens, asked = split.tokens[stream].tolist(), split.reads.position[read]
        marks = [p for p in range(asked) if tokens[p] == Special.WRITE]
        own = [slot for slot, p in enumerate(marks) if tokens[p + 1] == tokens[asked]]
        values = [tokens[marks[slot] + 2] - value for slot in own]
        wanted = {
            Target.QUERY_KEY: tokens[asked] - key,
            Target.CURRENT_VALUE: values[-1],
            Target.MATCHING_SLOT: own[-1],
            Target.STALE_VALUE: values[-2] if len(values) > 1 else NO_LABEL,
            Target.OVERWRITES: min(len(values) - 1, MOST_OVERWRITES),
        }
        assert {target: int(column[read]) for target, column in found.items()} == wanted
    for target in Target:
        assert found[target].max() < counts[target]
