"""Supervised fine-tuning on prompts and completions, and CogCalib on top of it."""
