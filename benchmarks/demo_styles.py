"""How many of the five songs that `similar` gives for each piece of the demo library are of the piece's own style.

    python benchmarks/demo_styles.py

Every style has six pieces, so five others among the 60 tracks beside it.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import machine
from soundkin.demo import compose
from soundkin.library import Library


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        compose(Path(folder) / "music")
        with Library.open(Path(folder) / "library.db") as library:
            library.scan(Path(folder) / "music")
            shares = defaultdict(list)
            for track in library.catalogue.list_tracks():
                answers = library.similar(track, n=5)
                same = sum(one.track.tags.genre == track.tags.genre for one in answers)
                shares[track.tags.genre].append(same / len(answers))
    means = {style: sum(values) / len(values) for style, values in sorted(shares.items())}
    every = [share for values in shares.values() for share in values]
    rows = [(style, f"{mean:.2f}", "") for style, mean in means.items()]
    rows.append(("all", f"**{sum(every) / len(every):.2f}**", "chance 0.08"))
    print(machine.describe())
    machine.show("Demo library: share of the first five answers in the seed's own style", rows)


if __name__ == "__main__":
    main()
