"""One module per family of elicitation methods; the registry of the engine names them all."""
