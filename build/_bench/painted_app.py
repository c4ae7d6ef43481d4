"""The app, started as its command starts it, that tells when its window has painted and goes no further."""

import os
import sys

from keyfob.__main__ import main

sys.argv = ["keyfob"]


def tell(_self) -> None:
    os.write(1, b"painted\n")
    os._exit(0)


class Finder:
    """Puts `tell` in the place of what follows the first paint, when that module is loaded and not before."""

    def find_spec(self, name, path=None, target=None):
        if name != "keyfob.desktop.app":
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        load = spec.loader.exec_module

        def patched(module):
            load(module)
            module.Opening._painted = tell

        spec.loader.exec_module = patched
        return spec


sys.meta_path.insert(0, Finder())
main()
