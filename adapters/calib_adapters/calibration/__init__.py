"""Calibration tuning (Kapoor et al. 2024): a confidence is learnt from graded answers."""
