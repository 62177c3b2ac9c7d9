"""egan: hide pictures inside pictures of another kind (EncryptGAN, arXiv 1905.11582, with a phase lock)."""

__version__ = "0.1.0"
