"""Other bases beside the shared one."""
