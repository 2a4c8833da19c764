"""The rules a dataset must keep (`docs/measures.md` §1), and those that can be seen on one split alone."""

from enum import StrEnum

import numpy as np

from formation.benchmark.events import write_table
from formation.benchmark.streams import Split
from formation.params import Range, Setting, StreamShape


class Rule(StrEnum):
    """What a dataset promises."""

    SEQUENCE_OVERLAP = "sequence_overlap"  # no stream stands in two splits
    PROGRAM_OVERLAP = "program_overlap"  # nor up to renaming of keys and values
    HELDOUT_LEAKAGE = "heldout_leakage"  # held-out pairs are where they belong and nowhere else
    ORACLE = "oracle"  # the oracle answers every read of every split and twin
    TWINS = "twins"  # twins change the answer at their target, and record the answers of their own writes
    UNIQUE_VALUES = "unique_values"  # no value is written twice in a stream
    KEY_ORDER = "key_order"  # no key is written twice in a row (twins of `source` may)
    LAGS = "lags"  # every lag is one the parameters allow (twins of `source` may have shorter ones)
    COUNTS = "counts"  # active keys, overwrites and reads are as many as the parameters say
    ONLY_OVERWRITTEN = "only_overwritten"  # `source`: only overwritten keys are read (its twins may read others)
    FIRST_AND_LAST = "first_and_last"  # `source`: first and last values are never right
    SHORTCUT_LIMIT = "shortcut_limit"  # `hardened`: no heuristic answers over half of the reads with a stale value

    def applies(self, setting: Setting) -> bool:
        """Whether the rule is one of this setting's."""
        only = {
            Rule.ONLY_OVERWRITTEN: Setting.SOURCE,
            Rule.FIRST_AND_LAST: Setting.SOURCE,
            Rule.SHORTCUT_LIMIT: Setting.HARDENED,
        }
        return only.get(self, setting) is setting


def broken_by_streams(split: Split, shape: StreamShape, setting: Setting, twin: bool) -> dict[Rule, str]:
    """Rules of single streams that `split` breaks, each with how often; a `twin` of `source` need not keep all.

    Everything is counted from the split's events, nothing is taken from the generator.
    """
    loose = twin and setting is Setting.SOURCE
    lags = Range(low=0, high=shape.lags.high) if loose else shape.lags
    table, reads = write_table(split), split.reads
    written = table.key >= 0
    active = np.array([len(set(row[row >= 0].tolist())) for row in table.key])
    sorted_values = np.sort(np.where(written, table.value, -1), axis=1)
    wrong = {
        Rule.UNIQUE_VALUES: ((np.diff(sorted_values, axis=1) == 0) & (sorted_values[:, 1:] >= 0)).any(axis=1),
        Rule.COUNTS: _outside(active, shape.active_keys)
        | _outside(written.sum(axis=1) - active, shape.overwrites)
        | _outside(np.bincount(reads.stream, minlength=len(split.tokens)), shape.reads),
        Rule.LAGS: _outside(reads.lag, lags),
    }
    if not loose:
        wrong[Rule.KEY_ORDER] = ((np.diff(table.key, axis=1) == 0) & written[:, 1:]).any(axis=1)
        wrong[Rule.ONLY_OVERWRITTEN] = reads.stale == 0
    return {
        rule: f"{rows.sum()} of {len(rows)}" for rule, rows in wrong.items() if rows.any() and rule.applies(setting)
    }


def _outside(counts: np.ndarray, allowed: Range) -> np.ndarray:
    return np.asarray((counts < allowed.low) | (counts > allowed.high))
