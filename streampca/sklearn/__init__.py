"""For scikit-learn: estimators that are scikit-learn's, to the last convention.

`streampca.StreamingPCA` has scikit-learn's names and needs no scikit-learn. These are subclasses of
its base classes, for programs that ask for more than names.
"""

try:
    import sklearn as _sklearn  # noqa: F401 - only asked whether it is there
except ImportError as error:
    raise ImportError(
        'streampca.sklearn needs scikit-learn: pip install "streampca[sklearn]"'
    ) from error

from streampca.sklearn.incremental import IncrementalPCA
from streampca.sklearn.streaming import StreamingPCA

__all__ = ["IncrementalPCA", "StreamingPCA"]
