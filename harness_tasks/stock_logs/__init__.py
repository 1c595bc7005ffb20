"""Confidences from logs of tasks that elicit none: lm-eval's own, Inspect's, HELM's.

Needs neither lm-eval nor torch.
"""
