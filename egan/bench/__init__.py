"""`egan bench`: figures on held-out pictures, every one computed from one per-image
table (DESIGN 7).

This module, `options` and `run` are light; `run_bench` brings torch once all is
checked.
"""

from egan.bench.options import METRICS, BenchOptions

__all__ = ["METRICS", "BenchOptions"]
