"""Golden cases for calibration metrics, and the answers of known libraries.

`cases.jsonl` holds the cases, for any library to run. `python -m calib_metrics.conformance` runs
those libraries that are installed. Nothing here is imported by `calib_metrics` itself.
"""
