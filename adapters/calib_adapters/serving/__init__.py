"""The lm-eval back end ``calib-hf`` and the command that runs it."""
