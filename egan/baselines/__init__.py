"""Networks of the methods that the paper compares with, each written from its own
paper: one file a method.
"""
