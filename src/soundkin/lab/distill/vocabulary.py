"""The tags of the bundled model: three teachers' vocabularies merged into one list that a person would use.

The teachers are published taggers of three collections, each with its own 50 tags: Last.fm's for the Million Song
Dataset (`msd`), MTG-Jamendo's (`jamendo`) and MagnaTagATune's (`mtat`). Many say one thing in several words; some say
nothing of how a song sounds.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from soundkin.errors import ExperimentError, UnknownNameError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

VOCABULARIES: dict[str, tuple[str, ...]] = {
    name: tuple(tag.strip() for tag in " ".join(text.split()).split(","))
    for name, text in {
        "msd": """
            rock, pop, alternative, indie, electronic, female vocalists, dance, 00s, alternative rock, jazz, beautiful,
            metal, chillout, male vocalists, classic rock, soul, indie rock, Mellow, electronica, 80s, folk, 90s, chill,
            instrumental, punk, oldies, blues, hard rock, ambient, acoustic, experimental, female vocalist, guitar,
            Hip-Hop, 70s, party, country, easy listening, sexy, catchy, funk, electro, heavy metal, Progressive rock,
            60s, rnb, indie pop, sad, House, happy
        """,
        "jamendo": """
            genre---alternative, genre---ambient, genre---atmospheric, genre---chillout, genre---classical,
            genre---dance, genre---downtempo, genre---easylistening, genre---electronic, genre---experimental,
            genre---folk, genre---funk, genre---hiphop, genre---house, genre---indie, genre---instrumentalpop,
            genre---jazz, genre---lounge, genre---metal, genre---newage, genre---orchestral, genre---pop,
            genre---popfolk, genre---poprock, genre---reggae, genre---rock, genre---soundtrack, genre---techno,
            genre---trance, genre---triphop, genre---world, instrument---acousticguitar, instrument---bass,
            instrument---computer, instrument---drummachine, instrument---drums, instrument---electricguitar,
            instrument---electricpiano, instrument---guitar, instrument---keyboard, instrument---piano,
            instrument---strings, instrument---synthesizer, instrument---violin, instrument---voice,
            mood/theme---emotional, mood/theme---energetic, mood/theme---film, mood/theme---happy, mood/theme---relaxing
        """,
        "mtat": """
            guitar, classical, slow, techno, strings, drums, electronic, rock, fast, piano, ambient, beat, violin,
            vocal, synth, female, indian, opera, male, singing, vocals, no vocals, harpsichord, loud, quiet, flute,
            woman, male vocal, no vocal, pop, soft, sitar, solo, man, classic, choir, voice, new age, dance, male voice,
            female vocal, beats, harp, cello, no voice, weird, country, metal, female voice, choral
        """,
    }.items()
}
"""Vocabulary -> its tags, in the order of the networks' outputs."""

DROPPED: dict[str, dict[str, str]] = {
    "msd": {"catchy": "a judgement that people share about few songs"},
    "jamendo": {
        "genre---instrumentalpop": "said by 'pop' and 'instrumental' together",
        "instrument---computer": "how it was made, which is not heard",
    },
    "mtat": {"solo": "one player alone, or one who stands out: the word is used for both"},
}
"""Vocabulary -> tag that is left out -> why."""


@dataclass(frozen=True, slots=True)
class MergedTag:
    """One tag of the merged list."""

    label: str
    category: str
    """'genre', 'mood', 'era', 'instrument' or 'voice'."""
    sources: Mapping[str, tuple[str, ...]]
    """Vocabulary -> its tags that mean this; at least one."""


# label: msd's tags | jamendo's | mtat's. A tag that is a kind of another goes to that one where the difference is not
# heard in what people tagged: 'indie rock' to indie, 'heavy metal' to metal, 'downtempo' to chillout.
_TABLES = {
    "genre": """
        rock: rock | genre---rock | rock
        pop: pop | genre---pop | pop
        pop rock: | genre---poprock |
        alternative: alternative, alternative rock | genre---alternative |
        indie: indie, indie rock | genre---indie |
        indie pop: indie pop | |
        classic rock: classic rock | |
        hard rock: hard rock | |
        progressive rock: Progressive rock | |
        metal: metal, heavy metal | genre---metal | metal
        punk: punk | |
        electronic: electronic, electronica, electro | genre---electronic | electronic
        dance: dance | genre---dance | dance
        house: House | genre---house |
        techno: | genre---techno | techno
        trance: | genre---trance |
        trip hop: | genre---triphop |
        hip hop: Hip-Hop | genre---hiphop |
        r&b: rnb | |
        soul: soul | |
        funk: funk | genre---funk |
        reggae: | genre---reggae |
        jazz: jazz | genre---jazz |
        blues: blues | |
        country: country | | country
        folk: folk | genre---folk, genre---popfolk |
        world: | genre---world |
        indian: | | indian
        classical: | genre---classical | classical, classic
        orchestral: | genre---orchestral |
        opera: | | opera
        soundtrack: | genre---soundtrack, mood/theme---film |
        ambient: ambient | genre---ambient | ambient
        new age: | genre---newage | new age
        chillout: chillout, chill | genre---chillout, genre---downtempo |
        lounge: | genre---lounge |
        easy listening: easy listening | genre---easylistening |
        experimental: experimental | genre---experimental |
    """,
    # tempo and loudness are nearest to moods: they say how a song comes across
    "mood": """
        happy: happy | mood/theme---happy |
        sad: sad | |
        mellow: Mellow | mood/theme---relaxing |
        energetic: | mood/theme---energetic |
        emotional: | mood/theme---emotional |
        atmospheric: | genre---atmospheric |
        beautiful: beautiful | |
        sexy: sexy | |
        party: party | |
        weird: | | weird
        quiet: | | quiet, soft
        loud: | | loud
        slow: | | slow
        fast: | | fast
    """,
    "era": """
        oldies: oldies | |
        60s: 60s | |
        70s: 70s | |
        80s: 80s | |
        90s: 90s | |
        00s: 00s | |
    """,
    "instrument": """
        guitar: guitar | instrument---guitar | guitar
        acoustic guitar: acoustic | instrument---acousticguitar |
        electric guitar: | instrument---electricguitar |
        bass: | instrument---bass |
        drums: | instrument---drums | drums
        beats: | instrument---drummachine | beat, beats
        piano: | instrument---piano | piano
        keyboard: | instrument---keyboard, instrument---electricpiano |
        synthesizer: | instrument---synthesizer | synth
        strings: | instrument---strings | strings
        violin: | instrument---violin | violin
        cello: | | cello
        harp: | | harp
        harpsichord: | | harpsichord
        flute: | | flute
        sitar: | | sitar
    """,
    "voice": """
        vocals: | instrument---voice | vocal, vocals, voice, singing
        female vocals: female vocalists, female vocalist | | female, woman, female vocal, female voice
        male vocals: male vocalists | | male, man, male vocal, male voice
        choir: | | choir, choral
        instrumental: instrumental | | no vocals, no vocal, no voice
    """,
}


def _read(category: str, line: str) -> MergedTag:
    label, _, told = line.partition(":")
    columns = [tuple(tag.strip() for tag in column.split(",") if tag.strip()) for column in told.split("|")]
    sources = {name: tags for name, tags in zip(VOCABULARIES, columns, strict=True) if tags}
    return MergedTag(label.strip(), category, sources)


MERGED: tuple[MergedTag, ...] = tuple(
    _read(category, line) for category, table in _TABLES.items() for line in table.strip().splitlines()
)
"""The tags of the bundled model, in the order of its outputs."""


def vocabulary_of(teacher: str) -> str:
    """The vocabulary that a teacher's name begins with: 'msd' of 'msd-fcn'. It may be none of VOCABULARIES."""
    return teacher.partition("-")[0]


def told_by(vocabularies: Collection[str]) -> tuple[MergedTag, ...]:
    """The merged tags that at least one of the vocabularies knows, in their order."""
    return tuple(tag for tag in MERGED if not tag.sources.keys().isdisjoint(vocabularies))


_EDGE = 1e-6  # how far from 0 and 1 probabilities are kept, so that their logits are finite


def merge(probabilities: Mapping[str, npt.NDArray[Any]], *, logits: bool = False) -> FloatArray:
    """Probabilities of the merged tags, (n, len(MERGED)) float32, from each vocabulary's, (n, 50).

    Of several tags of one vocabulary that mean the same, the likeliest speaks; over the vocabularies that know the tag
    it is the mean, of probabilities or of `logits`, in which a vocabulary that is shy of a tag counts as much as one
    that is not. Where there are several teachers of one vocabulary, give their mean. NaN in columns that no given
    vocabulary knows. Raises UnknownNameError for a vocabulary, ExperimentError for arrays that are not of that shape.
    """
    joined = np.stack(list(_joined(probabilities).values()))
    if not logits:
        return _mean(joined).astype(np.float32)
    return np.asarray(expit(_mean(_logit(joined))), np.float32)


def _joined(probabilities: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float64]]:
    """Vocabulary -> (n, len(MERGED)) float64, the maximum over the tags that mean the same."""
    if not probabilities:
        raise ExperimentError("tags of at least one vocabulary are needed")
    found = {}
    for name, told in probabilities.items():
        if name not in VOCABULARIES:
            raise UnknownNameError("vocabulary", name, VOCABULARIES)
        p = np.asarray(told, np.float64)
        if p.ndim != 2 or p.shape[1] != len(VOCABULARIES[name]):
            raise ExperimentError(
                f"{name}: probabilities are of shape (tracks, {len(VOCABULARIES[name])}), not {p.shape}"
            )
        targets, columns, starts = _columns(name)
        found[name] = np.full((len(p), len(MERGED)), np.nan)
        found[name][:, targets] = np.maximum.reduceat(p[:, columns], starts, axis=1)
    if len({len(p) for p in found.values()}) > 1:
        raise ExperimentError(f"vocabularies tell of different tracks: { {name: len(p) for name, p in found.items()} }")
    return found


@functools.cache
def _columns(name: str) -> tuple[IntArray, IntArray, IntArray]:
    """Which merged tags a vocabulary knows; its columns, those of one merged tag side by side; where each begins."""
    place = {tag: i for i, tag in enumerate(VOCABULARIES[name])}
    groups = {
        i: [place[tag] for tag in merged.sources[name]] for i, merged in enumerate(MERGED) if name in merged.sources
    }
    sizes = [len(group) for group in groups.values()]
    return (
        np.array(list(groups), np.int64),
        np.array([column for group in groups.values() for column in group], np.int64),
        np.cumsum([0, *sizes[:-1]]).astype(np.int64),
    )


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Over the first axis, of what is not NaN; NaN where all is."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _logit(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    p = np.clip(p, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(p / (1 - p)))
