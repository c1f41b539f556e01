"""Sources of pools: one mapping for each benchmark, and your own questions."""

from benchc_tasks.datasets.pools.ai2d import AI2D
from benchc_tasks.datasets.pools.blink import BLINK
from benchc_tasks.datasets.pools.building import PoolReport, build_pool, samples_of
from benchc_tasks.datasets.pools.local import own_samples
from benchc_tasks.datasets.pools.mapping import Benchmark
from benchc_tasks.datasets.pools.mmbench import MMBENCH
from benchc_tasks.datasets.pools.mmmu import MMMU
from benchc_tasks.datasets.pools.mmstar import MMSTAR
from benchc_tasks.datasets.pools.reading import hub_rows, local_rows
from benchc_tasks.datasets.pools.realworldqa import REALWORLDQA
from benchc_tasks.datasets.pools.scienceqa import SCIENCEQA
from benchc_tasks.datasets.pools.seedbench import SEEDBENCH
from benchc_tasks.datasets.pools.tsv import tsv_benchmark, tsv_images, tsv_rows

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "PoolReport",
    "build_pool",
    "hub_rows",
    "local_rows",
    "own_samples",
    "samples_of",
    "tsv_benchmark",
    "tsv_images",
    "tsv_rows",
]

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for benchmark in (MMBENCH, MMSTAR, SEEDBENCH, SCIENCEQA, AI2D, REALWORLDQA, MMMU, BLINK)
}
