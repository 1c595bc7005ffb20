"""Confidences from logs of tasks that asked for none: lm-eval's own, Inspect's, HELM's.

Needs neither lm-eval nor torch.
"""
