"""`egan bench`: figures on held-out pictures, every one computed from one per-image table (DESIGN 7).

This module and `egan.bench.options` are light; the entry point `egan.bench.run.run_bench` brings torch.
"""

from egan.bench.options import METRICS, BenchOptions

__all__ = ["METRICS", "BenchOptions"]
