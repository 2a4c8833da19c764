"""Carrying out tasks: children that never outlive the build, an order that wastes no core, progress with time left."""
