"""What the measurements of scripts/compare on a path have in common: their options, their end, what they leave behind."""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile


def options(name, parts, *switches):
    """Reads the command line of a measurement that has these parts, and these switches besides --short."""
    parser = argparse.ArgumentParser(prog=f"scripts/compare {name}")
    parser.add_argument("--udpstream", required=True)
    parser.add_argument("--before", metavar="FOLDER")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--parts", default=",".join(parts), type=lambda text: text.split(","))
    for switch in ("--short", *switches):
        parser.add_argument(switch, action="store_true")
    found = parser.parse_args()
    unknown = set(found.parts) - set(parts)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    found.before = found.before and f"{found.before}/udpstream"
    for program in filter(None, (found.udpstream, found.before)):
        if not shutil.which(program):
            sys.exit(f"error: there is no program {program}; build it there first")
    return found


def run(chosen, table, measure):
    """Measures in a folder of its own, prints the verdict, and ends the program."""
    # Each of them ends in the same way, so that nothing of ours is left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(chosen, table, pathlib.Path(folder))
    except KeyboardInterrupt:
        sys.exit(130)
    table.verdict()
    if chosen.json:
        chosen.json.write_text(json.dumps(table.rows, indent=1) + "\n")
    if table.broken:
        sys.exit(1)
