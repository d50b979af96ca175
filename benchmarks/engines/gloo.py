"""torch.distributed over gloo: each rank learns its batches in a hook, all end with the same bits.

make gloo
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.utils.data import DataLoader, Subset, TensorDataset

from benchmarks.engines.common import check, made, measured, quick, report, start
from streampca import Checkpoint, StreamingPCA, merge_all

# --8<-- [start:hook]


def learned(model, layer, rows, rank, ranks):
    """Components of what goes into a layer, from all rows of all ranks, each once."""
    pca = StreamingPCA(n_components=4, dtype="float64")

    def learn(module, inputs):
        pca.partial_fit(inputs[0].detach())  # and nothing is returned: that would replace the input

    handle = layer.register_forward_pre_hook(learn)
    # DistributedSampler would give some rows twice, so that ranks have equally many
    own = Subset(TensorDataset(rows), range(rank, len(rows), ranks))
    with torch.no_grad():
        for (batch,) in DataLoader(own, batch_size=256):
            model(batch)
    handle.remove()

    parts = [None] * ranks
    dist.all_gather_object(parts, pca.part())
    return merge_all(parts)  # in the order of the ranks, so the same everywhere


# --8<-- [end:hook]


def rank_of(rank: int, ranks: int, folder: str, rows: int) -> None:
    """One process."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks
    )
    X = torch.from_numpy(made(rows))
    layer = torch.nn.Linear(X.shape[1], 2, dtype=torch.float64)
    model = torch.nn.Sequential(torch.nn.Identity(), layer)
    pca = learned(model, layer, X, rank, ranks)
    data = pca.checkpoint().to_bytes()
    Path(folder, f"rank-{rank}").write_bytes(data)
    dist.destroy_process_group()


def main(few: bool) -> None:
    """The same bits in all ranks, and the right ones."""
    ranks, rows = 3, 6_001 if few else 24_001
    X = made(rows)
    with tempfile.TemporaryDirectory() as folder, measured() as cost:
        mp.spawn(rank_of, (ranks, folder, rows), nprocs=ranks)
        found = [Path(folder, f"rank-{rank}").read_bytes() for rank in range(ranks)]
    digests = {hashlib.sha256(data).hexdigest() for data in found}
    if len(digests) != 1:
        raise SystemExit(f"{len(digests)} different models in {ranks} ranks")
    off = check(StreamingPCA.from_checkpoint(Checkpoint.from_bytes(found[0])), X)
    what = f"hooks, {ranks} ranks, the same bits"
    version = torch.__version__.split("+")[0]
    report("torch gloo", version, what, len(X), off, 0, cost)
    start("torch gloo", version, "torch", "torch.eye(8)")


if __name__ == "__main__":
    main(quick())
