"""The checkpoint record: what a model does at every checkpoint, and when each behaviour was born."""
