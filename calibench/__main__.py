"""``python -m calibench`` is the command ``calibench``."""

from calibench.cli import main

if __name__ == "__main__":
    main()
