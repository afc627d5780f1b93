"""One module per built-in export target; importing this package registers all of them.

Adding a target is adding a module here.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
