"""The engine behind the confidence tasks: settings, prompts, late-bound requests, methods."""
