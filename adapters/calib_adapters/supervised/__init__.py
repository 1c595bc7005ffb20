"""Supervised fine-tuning: prompts in, completions out, and regularisers that keep it calibrated."""
