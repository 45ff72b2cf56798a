"""Resolve a Java program from its coordinates; run as a script, this prints its jars as JSON.

A process of its own, so that it can be given a time limit and prints where nobody looks.
Arguments: coordinates, cache folder.
"""

import json
import sys
from pathlib import Path

import jgo


def main() -> None:
    """Print the list of jar paths, in class path order, as the last line."""
    coordinates, cache = sys.argv[1:]
    built = jgo.build(coordinates, cache_dir=Path(cache))
    jars = [str(jar) for jar in (*built.class_path_jars, *built.module_path_jars)]
    sys.stdout.write("\n" + json.dumps(jars) + "\n")


if __name__ == "__main__":
    main()
