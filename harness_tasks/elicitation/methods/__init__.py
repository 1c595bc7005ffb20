"""One module per family of elicitation methods; see `harness_tasks.elicitation.registry`."""
