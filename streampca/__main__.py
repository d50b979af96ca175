"""``python -m streampca`` is ``streampca``."""

from streampca.cli import main

if __name__ == "__main__":
    main()
