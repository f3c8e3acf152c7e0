"""The place of the program of this package."""

import os
import sys
import sysconfig


def find_program() -> str:
    """The path of the program ``idiolect``.

    Raises ``FileNotFoundError`` if the package was built or installed without it.
    """
    name = "idiolect" + (".exe" if sys.platform == "win32" else "")
    # `pip install --user`, and environments whose scripts are elsewhere.
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    # `pip install --target` puts scripts into `bin` beside the packages.
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = [sysconfig.get_path("scripts"), user, os.path.join(package, "bin")]
    for place in places:
        path = os.path.join(place, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"the program {name} is in none of {', '.join(places)}")
