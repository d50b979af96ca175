"""torch, imported when something needs it: a tensor, a device, a first-order solver, a layer.

Importing it takes over a second and its default build 5 GB of disk, and numpy does without. This
is the only file that may import torch at run time; every other one takes `torch` from here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy import ndarray

if TYPE_CHECKING:
    import torch as torch
    from typing_extensions import TypeIs

Array: TypeAlias = Any
"""A numpy array or a torch tensor; the two share the operators and names that are used here."""


def is_tensor(x: object) -> TypeIs[torch.Tensor]:
    """Whether x is a torch tensor; asked without importing torch.

    Examples
    --------
    >>> is_tensor([1.0, 2.0])
    False
    """
    if type(x) is ndarray:
        return False  # most are: a tenth of the price of the rest
    # Who has a tensor has imported torch. The class is missing while another thread imports it.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(x, tensor)


def need_torch(what: str) -> None:
    """Import torch for something that cannot do without.

    Raises
    ------
    ImportError
        If torch is not installed; the message says what needs it and how to install it.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise  # torch is there, and something that it needs is not
        raise ImportError(
            f"{what} needs torch, which is not installed: "
            'pip install "streampca[torch]", or a build of torch for your device',
            name="torch",
        ) from error


if not TYPE_CHECKING:

    class _Torch:
        """In place of the module torch, which is imported when the first name is read."""

        def __getattr__(self, name: str) -> Any:
            # doctest and inspect ask everything for __wrapped__ and the like
            if name.startswith("__") and name != "__version__":
                raise AttributeError(name)
            need_torch(f"torch.{name}")
            return getattr(sys.modules["torch"], name)

    torch = _Torch()
