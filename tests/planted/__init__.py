"""The planted circuit: a transformer of our own architecture whose mechanism is known, because it was written by hand.

It answers reads by last-write-wins retrieval: previous-token heads copy each key to the position behind it ("my key"),
and retrieval heads of a later layer match the asked key against "my key", prefer the latest place, and copy its value.

    from tests.planted import Decoy, Lesion, Damage, Plan, plant
    plan = Plan(layers=3, retrieval=((2, 0),), decoys={(1, 1): Decoy.SILENT})
    model = plant(plan, dataset.splits[SplitName.TEST_IID].vocabulary, context=120)
    plan.components          # {(0, 1), (2, 0)}: the heads any analysis must name, and no others
    plant(plan.with_lesion(Damage.NO_RECENCY, (2, 0)), vocabulary, context=120)   # a known wrong answer

`formation_run(root, plan)` writes a whole run whose checkpoints are such models with a rising retrieval head: real
files, on which every stage behind `train` works. Its `Course` also gives the controls in which nothing forms.
"""

from tests.planted.circuit import plant
from tests.planted.plan import Damage, Decoy, Head, Lesion, Plan
from tests.planted.run import Course, formation_run

__all__ = ["Course", "Damage", "Decoy", "Head", "Lesion", "Plan", "formation_run", "plant"]
