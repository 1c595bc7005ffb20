"""The command ``calibench``. Each subcommand calls one function of one package."""
