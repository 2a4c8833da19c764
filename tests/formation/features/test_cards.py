"""Cards of planted features: each fires where its value is the answer, and the streams shown end there."""

from pathlib import Path

import pytest

from formation.artifacts import Run
from formation.errors import ArtifactError
from formation.features import files
from formation.features.cards import LISTED, MOST, STREAMS, feature_cards
from formation.features.record import open_features
from formation.figures import feature_cards as drawn
from formation.figures import style
from formation.figures.style import svg
from tests.formation.features.swept_planted import STAGE, copied

pytestmark = pytest.mark.usefixtures("own_artifacts")


@pytest.fixture(scope="module")
def told(rising: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with its cards."""
    run = copied(rising, tmp_path_factory.mktemp("told"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORMATION_ARTIFACTS", raising=False)
        feature_cards(run, [STAGE])
    return run


def cards(run: Run) -> list[dict]:
    return list(run.json(files.place(STAGE, files.CARDS), files.CARDS_SCHEMA)["cards"])


def test_a_feature_of_a_value_is_strongest_where_that_value_is_the_answer(told: Run) -> None:
    """The planted basis has one feature for each value, in the order of their tokens."""
    found = cards(told)
    assert len(found) == MOST
    for card in found:
        own = f"V{card['feature']:02d}"
        assert card["by_answer"][0]["label"] == own
        assert card["by_answer"][0]["activation"] > 2 * card["by_answer"][1]["activation"]
        assert card["usefulness"]["low"] > 0
        assert len(card["by_answer"]) <= LISTED


def test_streams_end_at_the_answer_and_show_the_write_behind_it(told: Run) -> None:
    for card in cards(told):
        assert 0 < len(card["streams"]) <= STREAMS
        strongest = [one["activation"][-1] for one in card["streams"]]
        assert strongest == sorted(strongest, reverse=True)
        for stream in card["streams"]:
            tokens, support = stream["tokens"], stream["support"]
            assert len(tokens) == len(stream["activation"])
            assert tokens[support] == "W"
            assert tokens[support + 1] == tokens[-1]
            assert tokens[support + 2] == stream["answer"]
            assert tokens[-2] == "R"


def test_what_is_said_of_labels_adds_up(told: Run) -> None:
    """Of few keys all are listed: their shares, weighed by their reads, are the feature's."""
    for card in cards(told):
        keys = card["by_key"]
        reads = sum(one["n"] for one in keys)
        assert sum(one["active"] * one["n"] for one in keys) / reads == pytest.approx(card["active"], abs=1e-4)


def test_random_weights_have_no_cards_and_the_figure_says_so(random_weights: Run, tmp_path: Path) -> None:
    run = copied(random_weights, tmp_path)
    feature_cards(run, [STAGE])
    assert cards(run) == []
    assert svg(drawn.draw_cards(open_features(run, STAGE))) == svg(
        style.note(f"no feature of {run.name} costs margin when it is removed")
    )


def test_the_same_cards_are_drawn_alike(told: Run) -> None:
    record = open_features(told, STAGE)
    assert svg(drawn.draw_cards(record)) == svg(drawn.draw_cards(open_features(told, STAGE)))


def test_a_checkpoint_that_was_not_swept_is_named(rising: Run, tmp_path: Path) -> None:
    run = copied(rising, tmp_path)
    with pytest.raises(ArtifactError, match=r"step_000007\.safetensors: not found; run: formation feature-traj"):
        feature_cards(run, [STAGE], 7)
