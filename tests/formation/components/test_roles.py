"""Where the roles of a read stand: a stream read by hand, and every read of a benchmark token by token."""

import numpy as np

from formation.benchmark.streams import Special, SplitName
from formation.components.roles import NOWHERE, Kind, Role, kinds, roles, value_positions
from tests.formation.benchmark import planted
from tests.formation.components import small

MARKS = (Special.WRITE, Special.READ)

#        0    1-3 4-6 7-9 10-12 13-15 16-18, <eos> at 19
STREAM = "a1 b2 a3 a?3 b?2 a?3"


def test_roles_of_a_stream_read_by_hand() -> None:
    found = {role: place.tolist() for role, place in roles(planted.split(STREAM)).items()}
    assert found == {
        Role.READ_MARK: [10, 13, 16],
        Role.QUERY_KEY: [11, 14, 17],
        Role.MATCHING_MARK: [7, 4, 7],
        Role.MATCHING_KEY: [8, 5, 8],
        Role.MATCHING_VALUE: [9, 6, 9],
        Role.STALE_KEY: [2, NOWHERE, 2],
        Role.STALE_VALUE: [3, NOWHERE, 3],
        Role.DISTRACTOR_KEY: [5, 8, 5],
        Role.DISTRACTOR_VALUE: [6, 9, 6],
        Role.NEXT_KEY: [11, 8, 11],
    }


def test_kinds_of_a_stream_read_by_hand() -> None:
    write, read = [Kind.WRITE_MARK, Kind.WRITE_KEY, Kind.WRITE_VALUE], [Kind.READ_MARK, Kind.READ_KEY, Kind.READ_VALUE]
    wanted = [Kind.BOS, *write, *write, *write, *read, *read, *read, Kind.EOS]
    assert kinds(planted.split(STREAM, "a1 a?1"))[0].tolist() == wanted
    assert kinds(planted.split(STREAM, "a1 a?1"))[1].tolist() == [Kind.BOS, *write, *read, Kind.EOS] + [Kind.PAD] * 12


def test_value_positions_of_a_stream_read_by_hand() -> None:
    found = {name: [np.flatnonzero(row).tolist() for row in mask] for name, mask in value_positions(
        planted.split(STREAM)
    ).items()}  # fmt: skip
    assert found == {
        "matching": [[9], [6], [9]],
        "matching_any": [[9], [6], [9, 12]],
        "stale": [[3], [], [3]],
        "distractor": [[6], [3, 9, 12], [6, 15]],
    }


def test_every_role_of_a_benchmark_is_what_its_name_says() -> None:
    """Told token by token, from the end of the stream backwards."""
    for name in (SplitName.TEST_IID, SplitName.STRUCTURAL_OOD):
        split = small.dataset().splits[name]
        found = roles(split)
        for read, stream in enumerate(split.reads.stream):
            tokens, asked = split.tokens[stream], split.reads.position[read]
            marks = [p for p in range(asked - 2, 0, -1) if tokens[p] == Special.WRITE]
            own = [p for p in marks if tokens[p + 1] == tokens[asked]]
            others = [p for p in marks if tokens[p + 1] != tokens[asked]]
            stale = own[1] if len(own) > 1 else None
            wanted = {
                Role.READ_MARK: asked - 1,
                Role.QUERY_KEY: asked,
                Role.MATCHING_MARK: own[0],
                Role.MATCHING_KEY: own[0] + 1,
                Role.MATCHING_VALUE: own[0] + 2,
                Role.STALE_KEY: NOWHERE if stale is None else stale + 1,
                Role.STALE_VALUE: NOWHERE if stale is None else stale + 2,
                Role.DISTRACTOR_KEY: others[0] + 1 if others else NOWHERE,
                Role.DISTRACTOR_VALUE: others[0] + 2 if others else NOWHERE,
                Role.NEXT_KEY: next(p for p in range(own[0] + 3, asked + 1) if tokens[p] in MARKS) + 1,
            }
            assert {role: int(found[role][read]) for role in Role} == wanted


def test_value_positions_share_all_values_before_the_read() -> None:
    split = small.dataset().splits[SplitName.TEST_IID]
    masks = value_positions(split)
    kind = kinds(split)[split.reads.stream]
    before = np.arange(split.tokens.shape[1]) < split.reads.position[:, None]
    values = np.isin(kind, (Kind.WRITE_VALUE, Kind.READ_VALUE)) & before
    parts = np.stack([masks[name] for name in ("matching_any", "stale", "distractor")])
    np.testing.assert_array_equal(parts.sum(0), values)
    assert not (masks["matching"] & ~masks["matching_any"]).any()
    answers = split.answer_tokens()[:, None]
    assert (split.tokens[split.reads.stream] == answers)[masks["matching_any"]].all()
