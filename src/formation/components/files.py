"""Names and schemas of the components' artifacts; readers of figures need these alone, and no torch."""

METRICS = "analysis/component_metrics.jsonl"
FOLDER = "analysis/components"
CURVES, CURVES_SCHEMA = "analysis/component_curves.json", "component-curves/2"
COMPARED, COMPARED_SCHEMA = "analysis/birth_window_compare.json", "birth-window-compare/2"
