"""Parameters: presets resolve, every mistake names file, key, value and what is allowed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formation import params, presets
from formation.errors import ParamsError
from formation.features.params import Section

ROOT = Path(__file__).resolve().parents[2]

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(
    st.sampled_from("abc"), json_like | st.dictionaries(st.sampled_from("abc"), json_like), max_size=3
)


@pytest.mark.parametrize("preset", presets.presets(ROOT))
def test_every_preset_resolves(preset: str) -> None:
    assert presets.load(preset, ROOT).seeds


def test_base_explains_every_value() -> None:
    """Each leaf of base.yml has a comment on its line."""
    lines = (ROOT / "params" / "base.yml").read_text().splitlines()
    leaves = [line for line in lines if ":" in line.split("#")[0] and line.split("#")[0].rstrip()[-1] != ":"]
    assert [line for line in leaves if "#" not in line] == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.steps=0", ["--set", "training.steps", "0", "greater than or equal to 1"]),
        ("training.stpes=5", ["--set", "training.stpes", "unknown key", "steps"]),
        ("training.steps=1.5", ["training.steps", "1.5", "integer"]),
        ("training.steps=yes", ["training.steps", "True", "integer"]),
        ("model.heads=3", ["d_model (64)", "heads (3)"]),
        ("benchmark.setting=soft", ["benchmark.setting", "soft", "'source' or 'hardened'"]),
        ("benchmark.iid.lags={low: 3, high: 1}", ["benchmark.iid.lags", "low (3)", "high (1)"]),
        ("training.learning_rate=.nan", ["training.learning_rate", "nan"]),
        ("nonsense", ["nonsense", "section.key=value"]),
        ("training.steps=[", ["training.steps=[", "YAML"]),
        ("seeds=[]", ["seeds", "at least 1"]),
        ("seeds=[1, 1]", ["seeds", "two are the same"]),
        ("seeds=[1000000000]", ["seeds", "less than 1000000000"]),
        ("benchmark.seed=99999999999999999999", ["benchmark.seed", "less than 9223372036854775808"]),
        ("training.steps=1000000000000000000000", ["training.steps", "less than or equal to"]),
        ("training.steps={[]: 1}", ["training.steps=", "key that is no word"]),
        ("training.steps=2001-99-99", ["training.steps=2001-99-99", "month"]),
        ("training.steps=" + "[" * 5000, ["training.steps=[", "nested more than 50"]),
        ("training..steps=1", ["training..steps=1", "section.key=value"]),
        ("training.steps=" + "9" * 4000, ["training.steps", "…"]),
        ("features.latnets=3", ["--set", "features.latnets", "unknown key", "latents"]),
        ("featurs.k=3", ["featurs", "unknown key", "features"]),
        ("cli.steps=3", ["cli", "unknown key"]),
    ],
)
def test_a_bad_override_is_named(override: str, words: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        presets.load("quick", ROOT, [override])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def project(folder: Path, preset_text: str) -> Path:
    (folder / "params").mkdir()
    (folder / "params" / "base.yml").write_text((ROOT / "params" / "base.yml").read_text())
    (folder / "params" / "mine.yml").write_text(preset_text)
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training: {steps: -1}", ["params/mine.yml", "training.steps", "-1"]),
        ("training: {steps: 1, steps: 2}", ["mine.yml", "'steps' is written twice"]),
        ("[1, 2]", ["mine.yml", "mapping", "list"]),
        ("a: [", ["mine.yml", "not valid YAML"]),
        ("a: !!python/object/apply:os.system [ls]", ["mine.yml", "not valid YAML"]),
        ("trainign: {steps: 1}", ["mine.yml", "trainign", "training"]),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        presets.load("mine", project(tmp_path, text))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "run", ["../quick-s1", "quick/s1", "quick-s1/..", "quick", "quick-s-1", "quick-s01", "nope-s1", ""]
)
def test_unsafe_and_unknown_runs_are_refused_with_the_presets(run: str) -> None:
    with pytest.raises(ParamsError, match="quick"):
        presets.split_run(run, ROOT)


def test_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(ParamsError, match="reference"):
        presets.load("refrence", ROOT)


@given(mappings, mappings, mappings)
def test_merging_is_associative(a: dict, b: dict, c: dict) -> None:
    """Laying c over (b over a) is laying (c over b) over a, wherever kinds agree along a path."""
    left, right = presets.merge(presets.merge(a, b), c), presets.merge(a, presets.merge(b, c))
    if not _kinds_clash(a, b, c):
        assert left == right


@given(mappings)
def test_merging_nothing_changes_nothing(a: dict) -> None:
    assert presets.merge(a, {}) == a == presets.merge({}, a)


def _kinds_clash(*layers: dict) -> bool:
    keys = set().union(*layers)
    for key in keys:
        held = [layer[key] for layer in layers if key in layer]
        mapping = [isinstance(value, dict) for value in held]
        if any(mapping) and (not all(mapping) or _kinds_clash(*held)):
            return True
    return False


def test_the_identity_of_a_run_depends_on_what_trains_it_and_nothing_else() -> None:
    same = presets.load("quick", ROOT, ["windows.p_value=0.01", "record.batch=8", "purpose=other"])
    base = presets.load("quick", ROOT)
    assert base.identity(1) == same.identity(1)
    assert base.identity(1) != base.identity(2)
    for override in ("training.threads=2", "training.dtype=bfloat16", "model.d_ff=128", "benchmark.seed=5"):
        assert presets.load("quick", ROOT, [override]).identity(1) != base.identity(1), override


def test_the_project_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVINGPAPER_PROJECT", raising=False)
    assert presets.project_root(ROOT / "src" / "formation") == ROOT
    assert presets.project_root(tmp_path) == ROOT  # papermill from anywhere: the checkout of this package
    mine = project(tmp_path, "")
    assert presets.project_root(mine) == mine
    monkeypatch.setenv("LIVINGPAPER_PROJECT", str(tmp_path / "params"))
    with pytest.raises(ParamsError, match="LIVINGPAPER_PROJECT"):
        presets.project_root()


FACTORS = sorted(file.stem for file in (ROOT / "params" / "factors").glob("*.yml"))


@pytest.mark.parametrize("preset", FACTORS)
def test_a_factor_preset_varies_one_section_of_what_it_lies_over(preset: str) -> None:
    under = presets.lies_over(preset, ROOT)
    assert under is not None
    above, below = presets.load(preset, ROOT), presets.load(under, ROOT)
    changed = [name for name in params.Params.model_fields if getattr(above, name) != getattr(below, name)]
    assert set(changed) <= {"purpose", "factor", "benchmark", "model", "training"}
    assert len(set(changed) & {"benchmark", "model", "training"}) == 1
    assert above.factor is not None
    assert preset.startswith(f"{above.factor.name}-")


def test_a_factor_is_a_label_and_no_part_of_a_runs_identity(tmp_path: Path) -> None:
    root = project(tmp_path, "factor: {name: reads, level: fewer}")
    (root / "params" / "plain.yml").write_text("")
    assert presets.load("mine", root).identity(1) == presets.load("plain", root).identity(1)
    assert presets.load("plain", root).factor is None
    assert presets.lies_over("mine", root) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("factor: {name: reads}", ["mine.yml", "factor.level", "missing"]),
        ("factor: {name: ../reads, level: x}", ["mine.yml", "factor.name", "../reads"]),
        ("factor: {name: reads, level: x, kind: y}", ["mine.yml", "factor.kind", "allowed here: name, level"]),
        ("model: {over: quick}", ["mine.yml", "model.over", "unknown key"]),
        ("over: nope", ["mine.yml", "over", "nope", "expected another preset"]),
    ],
)
def test_a_bad_factor_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        presets.load("mine", project(tmp_path, text))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_analysis_has_the_section_of_its_package() -> None:
    found = presets.load("smoke", ROOT).of(Section)
    assert isinstance(found, Section)
    assert params.section_of(Section) == "features"


def test_a_section_that_base_does_not_have_is_asked_for_by_name(tmp_path: Path) -> None:
    """What came before the analysis works without its section."""
    folder = tmp_path / "params"
    folder.mkdir()
    base = (ROOT / "params" / "base.yml").read_text()
    (folder / "base.yml").write_text(base[: base.index("features:")])
    (folder / "small.yml").write_text("seeds: [3]\n")
    resolved = presets.load("small", tmp_path)
    assert resolved.seeds == [3]
    with pytest.raises(ParamsError, match=r"params/base\.yml: features: missing; expected a section with stages"):
        resolved.of(Section)


def test_a_section_of_an_analysis_is_told_to_the_press(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "reads"
    monkeypatch.setenv("LIVINGPAPER_READS", str(log))
    presets.load("smoke", ROOT).of(Section)
    assert '{"section": "features"}' in log.read_text()
