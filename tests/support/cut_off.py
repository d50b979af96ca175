"""Commands that end at a write for good, as by a kill."""

import pytest

from streampca import CheckpointStore
from streampca.cli.ledger import Ledger


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed(cli, monkeypatch, n, *arguments):
    """Run a command whose n-th write for good, of a checkpoint or of the ledger, is its last."""
    left = [n]

    def counted(method):
        def wrapped(*given):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return method(*given)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "write", counted(CheckpointStore.write))
        patch.setattr(Ledger, "write", counted(Ledger.write))
        with pytest.raises(Killed):
            cli(*arguments)
