"""The paper's figures, drawn from any weights: pictures as labelled sheets, sweeps as
plots with their data beside them.

`egan.bench.figures.run` is the entry point.
"""
