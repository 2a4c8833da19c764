"""Published evidence: what big runs left behind, kept in `results/` and read where a run was not computed here."""
