"""Parameters of StreamingPCA as far as they can be judged where a pipeline is built."""

from __future__ import annotations

import numbers
import re
from typing import Any

from streampca.estimators import StreamingPCA
from streampca.learning import check_parameters, resolve_parameters


def check(options: dict[str, Any], n_features: int | None = None) -> dict[str, Any]:
    """Return all parameters of the estimator that has these options.

    Whether there is such a device is for the workers to say: a job with GPUs is started from
    machines that have none.

    Parameters
    ----------
    options : dict
        Those that are not the default.
    n_features : int, optional
        Of the rows, where it is known already.

    Raises
    ------
    ValueError
        If one is not accepted, or two contradict each other.

    Examples
    --------
    >>> check({"n_components": 2, "device": "cuda"})["device"]
    'cuda'
    >>> check({"n_components": 3}, n_features=2)
    Traceback (most recent call last):
        ...
    ValueError: n_components=3 is more than the 2 features of the rows: use at most 2
    """
    parameters = StreamingPCA(**options).get_params()
    check_parameters(parameters | ({"device": None} if _is_cuda(parameters["device"]) else {}))
    if n_features is not None:
        resolve_parameters(parameters, n_features)
        return parameters
    p = parameters["n_components"]
    width = int(p) if isinstance(p, numbers.Integral) else 1  # every contradiction shows with it
    try:
        resolve_parameters(parameters, width)
    except ValueError as error:
        raise ValueError(str(error).replace(f" (rows have {width} features)", "")) from None
    return parameters


def plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with numpy's whole numbers as Python's, which torch and JSON want."""
    return {
        name: int(value)
        if isinstance(value, numbers.Integral) and not isinstance(value, bool)
        else value
        for name, value in options.items()
    }


def _is_cuda(device: Any) -> bool:
    """Whether a worker with a GPU would know it; asked where torch may be missing."""
    named = isinstance(device, str) and re.fullmatch(r"cuda(:\d+)?", device) is not None
    return named or getattr(device, "type", None) == "cuda"
