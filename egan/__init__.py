"""egan: hide pictures inside pictures of another kind (EncryptGAN, arXiv 1905.11582, with a phase lock).

`from egan import EncryptGAN` gives the commands' verbs for notebooks: see `egan.api`. `import egan` alone is cheap;
everything else is imported with the first name that needs it.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from egan.api import Decrypted, EncryptGAN, Verified, save, save_keys, unlock
    from egan.errors import EganError

__version__ = "0.1.0"
__all__ = [
    "Decrypted",
    "EganError",
    "EncryptGAN",
    "Verified",
    "__version__",
    "save",
    "save_keys",
    "unlock",
]


def __getattr__(name: str) -> Any:
    if name == "EganError":
        from egan.errors import EganError

        return EganError
    if name in __all__:
        from egan import api

        return getattr(api, name)
    raise AttributeError(f"module 'egan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
