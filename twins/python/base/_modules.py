"""The modules that a script finds: the shim's own, and those that lie beside it on its card."""
import importlib.abc
import importlib.machinery
import linecache
import os
import sys
import tokenize

import _files
import _twinfleet as _k


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The shim's modules, from the texts that came with it."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path, target=None):
        if name in _blinka() and os.path.isfile(os.path.join(sys.path[0], name + ".py")):
            # On a Pi they are packages as any other: what lies beside the script comes first.
            return None
        packages = name in self.packages
        if name in self.sources or packages:
            spec = importlib.machinery.ModuleSpec(name, self, is_package=packages)
            spec.origin = "<twinfleet>/" + name.replace(".", "/") + ".py"
            return spec
        return None

    @property
    def packages(self):
        return {n.rpartition(".")[0] for n in self.sources if "." in n} | {
            n.removesuffix(".__init__") for n in self.sources if n.endswith(".__init__")}

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        source = self.sources.get(name, self.sources.get(name + ".__init__", ""))
        path = "<twinfleet>/" + name.replace(".", "/") + ".py"
        module.__file__ = path
        linecache.cache[path] = (len(source), None, source.splitlines(True), path)
        exec(_k.compiled_of(source, path), module.__dict__)

    def get_source(self, name):
        return self.sources.get(name, "")


def _blinka():
    return _k.shim["circuit"] if "pi" in _k.settings["modules"] else ()


class CardFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that lie on the card, by the names that the script has for its places."""

    def find_spec(self, name, path=None, target=None):
        tail, spaces = name.rpartition(".")[2], []
        for base in sys.path if path is None else path:
            if not isinstance(base, str) or not _files.on_card(base):
                continue
            place = os.path.join(_files.home if base in ("", ".") else base, tail)
            for file, package in ((place + "/__init__.py", True), (place + ".py", False)):
                if os.path.isfile(file):
                    spec = importlib.machinery.ModuleSpec(name, self, origin=file, is_package=package)
                    spec.has_location = True
                    if package:
                        spec.submodule_search_locations = [place]
                    return spec
            if os.path.isdir(place):
                spaces.append(place)
        # A folder without a module's file is one only where nobody else has a module of that name.
        others = (f.find_spec(name, path) for f in sys.meta_path if f not in (self, *_before)) if spaces else ()
        if not spaces or any(spec is not None and spec.loader is not None for spec in others):
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = spaces
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        with open(module.__spec__.origin, "rb") as file:
            code = compile(file.read(), module.__spec__.origin, "exec", _k.compiles, dont_inherit=True)
        exec(code, module.__dict__)

    def get_source(self, name):
        spec = getattr(sys.modules.get(name), "__spec__", None) or self.find_spec(name)
        with tokenize.open(spec.origin) as file:
            return file.read()


_before = []  # finders that come before the card's


def install(sources):
    """The shim's come first, those of the card before whatever else is installed."""
    sys.meta_path.insert(0, Finder(sources))
    is_path = (i for i, f in enumerate(sys.meta_path) if getattr(f, "__name__", "") == "PathFinder")
    place = next(is_path, len(sys.meta_path))
    _before[:] = sys.meta_path[:place]
    sys.meta_path.insert(place, CardFinder())
