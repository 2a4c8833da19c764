"""The benchmark: symbolic key–value streams `<bos> W K V … R K V … <eos>` (`docs/measures.md` §1)."""
