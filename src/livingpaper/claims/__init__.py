"""Claims: what the paper says, the rules that decide whether it may say so, and what its runs decide."""
