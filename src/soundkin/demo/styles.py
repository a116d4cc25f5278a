"""Ten styles of music, one short function each: a generator in, a finished stereo piece out.

Each takes `rng`, which decides the piece (key, chords, tune), `taste`, which decides what pieces of one artist share
(tempo, instruments, room), and the length in seconds; each returns (2, n) float32 at `synth.SR`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from soundkin.demo import synth
from soundkin.demo.harmony import Key, melody, near, pick, progression, voicing
from soundkin.demo.instruments import clap, grand_piano, hat, kick, power_chord, reese, ride, snare, steel_guitar
from soundkin.demo.synth import FloatArray, Mix, hz, shape

Random = np.random.Generator
Builder = Callable[[Random, Random, float], FloatArray]
Rhythms = list[list[float]]


def nocturne(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Solo piano: a slow tune over broken chords."""
    hardness, room = taste.uniform(0.45, 0.75), taste.uniform(1.2, 2.2)
    key = Key.choose(rng, pick(taste, ["minor", "major", "harmonic minor"]), low=50)
    mix = Mix(bpm=taste.uniform(76, 104) * rng.uniform(0.95, 1.05), seconds=seconds, beats=3)
    chords = progression(rng, [[0, 5, 3, 4], [0, 3, 6, 2], [0, 4, 5, 3], [0, 2, 3, 4], [0, 5, 1, 4]], bars=mix.bars)
    piano = grand_piano(hardness, ring=3.2)
    pattern = pick(rng, [[0, 1, 2, 3, 2, 1], [0, 2, 1, 3, 1, 2], [0, 1, 3, 2, 3, 1]])
    for bar in range(mix.bars):
        root = near(key.pitch(chords[bar]), key.tonic - 12)
        triad = key.chord(chords[bar])
        broken = [root, root + 7 if bar % 2 else near(triad[2], root + 7), root + 12, near(triad[1], root + 15)]
        for i, step in enumerate(pattern):
            gain = 0.34 + 0.12 * (i == 0) + rng.uniform(-0.05, 0.05)
            mix.add(piano(broken[step]), bar, 0.5 * i + rng.uniform(0, 0.03), gain=gain, pan=-0.25, send=0.3)
    rhythms: Rhythms = [[2, 0.5, 0.5], [1.5, 0.5, 1], [1, 1, 1], [2.5, 0.5], [0.5, 0.5, 2]]
    for note in melody(rng, key, chords, rhythms=rhythms, centre=key.tonic + 17):
        mix.add(piano(note.pitch), note.bar, note.beat + 0.03, gain=rng.uniform(0.55, 0.8), pan=0.2, send=0.35)
    return mix.master(rng, room=room, level=-24.0)


def drum_and_bass(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Broken beats at 170 and more beats a minute, a growling bass, minor ninths behind."""
    growl, cutoff = taste.uniform(0.7, 0.93), taste.uniform(5000, 8000)
    key = Key.choose(rng, "minor", pick(taste, ["dorian", "phrygian"]), low=28)
    mix = Mix(bpm=taste.uniform(168, 178), seconds=seconds)
    drum, crack = kick(rng, pitch=55), snare(rng, pitch=taste.uniform(180, 240))
    tick = hat(rng, cutoff=cutoff, fall=taste.uniform(0.04, 0.1))
    kicks = pick(rng, [[0, 2.5], [0, 0.75, 2.5], [0, 2.25, 2.75], [0, 1.5, 2.5]])
    ghosts = pick(rng, [[1.75, 2.25], [1.75, 3.75], [2.25, 3.5], [0.75, 1.75, 3.75]])
    chords = progression(rng, [[0, 0, 5, 5], [0, 0, 3, 4], [0, 0, 5, 6], [0, 0, 2, 3]], bars=mix.bars)
    riff = pick(rng, [[(0, 1.5), (1.5, 2.5)], [(0, 0.75), (0.75, 0.75), (1.5, 2.5)], [(0, 3.0), (3.0, 1.0)]])
    wobble = pick(rng, [0.5, 1.0, 1.5, 2.0])
    for bar in range(mix.bars):
        chord = key.chord(chords[bar], size=5)
        for pitch in voicing(chord[1:], 64) if bar % 2 == 0 else []:
            pad = synth.saw(hz(pitch), 2 * mix.beats * mix.beat, brightness=0.5)
            mix.add(shape(pad, attack=0.3, release=0.4), bar, gain=0.07, pan=rng.uniform(-0.7, 0.7), send=0.6)
        for beat in np.arange(0, 4, 0.5):
            mix.add(tick, bar, float(beat), gain=rng.uniform(0.2, 0.35), pan=0.3, send=0.05)
        if bar < mix.bars // 5:
            continue  # the beat drops after an introduction
        for beat in kicks:
            mix.add(drum, bar, beat, gain=1.0, send=0.02)
        for beat in (1, 3):
            mix.add(crack, bar, beat, gain=0.8, send=0.15)
        for beat in ghosts:
            mix.add(crack, bar, beat, gain=rng.uniform(0.1, 0.25), send=0.1)
        for start, length in riff:
            mix.add(reese(chord[0], length * mix.beat, growl, wobble / mix.beat), bar, start, gain=0.4, send=0.0)
    return mix.master(rng, room=1.2, level=-13.0)


def house(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Four on the floor: off-beat hats, claps, chord stabs, all ducking under the bass drum."""
    index, ratio = taste.uniform(1.5, 4.0), pick(taste, [1.0, 2.0, 3.0])
    key = Key.choose(rng, pick(taste, ["minor", "dorian"]), low=40)
    mix = Mix(bpm=taste.uniform(119, 129), seconds=seconds)
    chords = progression(rng, [[0, 5, 3, 4], [0, 2, 5, 3], [0, 0, 3, 3], [0, 6, 5, 6], [0, 3, 0, 4]], bars=mix.bars)
    stabs = pick(rng, [[0, 1.5, 2.75], [0.5, 1.5, 2.5, 3.5], [0, 0.75, 1.5, 2.5], [0.75, 1.5, 3.25]])
    bass_at = pick(rng, [[0.5, 1.5, 2.5, 3.5], [0.5, 0.75, 1.5, 2.5, 3.25], [0, 0.75, 1.5, 2.5, 3.5]])
    deep = taste.uniform(0.35, 0.75)
    for bar in range(mix.bars):
        chord = key.chord(chords[bar], size=4)
        for beat in stabs:
            for i, pitch in enumerate(voicing(chord, 62)):
                stab = synth.fm(hz(pitch), 0.5, ratio=ratio, index=index, fall=0.6)
                mix.add(shape(stab), bar, beat, gain=0.2, pan=0.3 * (i - 1.5), send=0.4)
        for beat in bass_at:
            low = synth.saw(hz(near(chord[0], 36)), 0.2, brightness=deep)
            mix.add(shape(low, release=0.05), bar, beat, gain=0.45, send=0.0)
    mix.pump(0.8)
    drum, hands = kick(rng, pitch=taste.uniform(46, 54), click=0.15), clap(rng)
    opened, closed = hat(rng, fall=taste.uniform(0.15, 0.3)), hat(rng, fall=0.04)
    for bar in range(mix.bars):
        for beat in range(4):
            mix.add(drum, bar, beat, gain=0.9, send=0.0)
            if bar >= mix.bars // 6:
                mix.add(opened, bar, beat + 0.5, gain=0.35, pan=0.2, send=0.05)
        for beat in (1, 3):
            mix.add(hands, bar, beat, gain=0.6, send=0.3)
        for step in range(16):
            mix.add(closed, bar, step / 4, gain=rng.uniform(0.05, 0.16), pan=-0.3, send=0.0)
    return mix.master(rng, room=0.9, level=-14.0)


def ambient(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Slow pads that breathe, a drone, wind, and a bell now and then."""
    colour, windy = taste.uniform(0.4, 0.8), taste.uniform(0.1, 0.5)
    key = Key.choose(rng, pick(taste, ["lydian", "minor", "dorian", "mixolydian"]), low=45)
    mix = Mix(bpm=60, seconds=seconds, beats=pick(rng, [4, 5, 6]))
    chords = progression(rng, [[0, 3, 4, 1], [0, 4, 0, 3], [0, 5, 1, 4], [0, 1, 5, 0]], bars=mix.bars)
    length = (mix.beats + 3.0) * mix.beat
    for bar in range(mix.bars):
        for pitch in voicing(key.chord(chords[bar], size=5), 58 + rng.uniform(-3, 3)):
            swell = colour * (0.75 + 0.25 * np.sin(rng.uniform(0.4, 1.2) * synth.times(length) + rng.uniform(0, 6)))
            for side in (-1, 1):
                voice = synth.saw(hz(pitch + side * rng.uniform(0.02, 0.09)), length, brightness=swell)
                mix.add(shape(voice, attack=2.5, release=3.0), bar, gain=0.1, pan=0.8 * side, send=0.6)
        if rng.random() < 0.6:
            bell = synth.fm(hz(key.pitch(int(rng.integers(14, 22)))), 3.0, ratio=3.5, index=1.2, fall=3.0)
            beat = rng.uniform(0, mix.beats)
            mix.add(synth.echo(bell, 0.7, feedback=0.5), bar, beat, gain=0.07, pan=rng.uniform(-1, 1), send=0.8)
    whole = mix.send.size / synth.SR
    drone = synth.tone(hz(key.tonic - 12), whole, partials=[1, 0.5, 0.3, 0.1])
    mix.add(shape(drone, attack=3.0, release=2.0), 0, gain=0.16, send=0.2)
    gusts = 0.6 + 0.4 * np.sin(rng.uniform(0.3, 0.8) * synth.times(whole) + rng.uniform(0, 6))
    wind = synth.bandpass(synth.noise(whole, rng), 300, taste.uniform(700, 2500))
    mix.add(shape(wind * gusts, attack=3.0, release=2.0), 0, gain=0.2 * windy, send=0.5)
    return mix.master(rng, room=3.0, level=-23.0)


def chiptune(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """A console of 1985: two pulse waves, a triangle, and noise for drums."""
    lead, second = pick(taste, [0.125, 0.25, 0.5]), pick(taste, [0.25, 0.5])
    key = Key.choose(rng, pick(taste, ["major", "minor", "mixolydian"]), low=57)
    mix = Mix(bpm=taste.uniform(132, 165), seconds=seconds)
    chords = progression(rng, [[0, 4, 5, 3], [0, 5, 3, 4], [0, 3, 4, 0], [0, 6, 5, 4], [0, 2, 3, 4]], bars=mix.bars)
    figure = pick(rng, [[0, 1, 2, 1], [0, 1, 2, 3], [2, 1, 0, 1], [0, 2, 1, 2]])
    bump = cache(lambda pitch, length: shape(synth.pulse(hz(pitch), length, duty=second), release=0.02))
    for bar in range(mix.bars):
        chord = [*key.chord(chords[bar]), key.chord(chords[bar])[0] + 12]
        for step in range(16):
            mix.add(bump(chord[figure[step % 4]], mix.beat / 4), bar, step / 4, gain=0.16, pan=-0.4, send=0.05)
        for beat in np.arange(0, 4, 0.5):
            low = near(chord[0], 38) + 12 * int(beat % 1 > 0)
            mix.add(shape(synth.triangle(hz(low), 0.45 * mix.beat)), bar, float(beat), gain=0.4, send=0.0)
        for beat in range(4):
            hit = np.repeat(synth.noise(0.12 / 8, rng), 8) if beat % 2 else np.repeat(synth.noise(0.08 / 24, rng), 24)
            mix.add(hit * synth.fading(hit.size / synth.SR, fall=0.15), bar, beat, gain=0.35, send=0.0)
            mix.add(hat(rng, fall=0.03, cutoff=9000), bar, beat + 0.5, gain=0.2, send=0.0)
    rhythms: Rhythms = [[0.5, 0.5, 1, 0.5, 0.5, 1], [0.75, 0.75, 0.5, 1, 1], [0.5] * 8, [1, 0.5, 0.5, 1.5, 0.5]]
    for note in melody(rng, key, chords, rhythms=rhythms, centre=key.tonic + 14, leap=3):
        voice = synth.pulse(hz(note.pitch), 0.9 * note.length * mix.beat, duty=lead)
        voice *= synth.fading(voice.size / synth.SR, fall=1.5)
        mix.add(shape(voice), note.bar, note.beat, gain=0.3, pan=0.3, send=0.1)
    return mix.master(rng, room=0.4, level=-17.0)


def folk(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """A finger-picked steel-string guitar: alternating bass, tune on top."""
    bright, sustain, place = taste.uniform(0.45, 0.75), taste.uniform(0.985, 0.994), taste.uniform(0.1, 0.3)
    key = Key.choose(rng, pick(taste, ["major", "mixolydian", "dorian"]), low=43)
    mix = Mix(bpm=taste.uniform(88, 124) * rng.uniform(0.95, 1.05), seconds=seconds)
    chords = progression(rng, [[0, 3, 0, 4], [0, 4, 5, 3], [0, 5, 3, 4], [0, 6, 3, 0], [0, 0, 3, 4]], bars=mix.bars)
    picking = pick(rng, [[1, 2, 1, 3], [2, 1, 3, 1], [3, 2, 1, 2], [1, 3, 2, 3]])
    string = steel_guitar(rng, brightness=bright, sustain=sustain, place=place)
    for bar in range(mix.bars):
        chord = key.chord(chords[bar])
        root = near(chord[0], 43)
        strings = [root, *voicing(chord, 60), near(chord[0], 67)]
        for beat in range(4):
            low = root if beat % 2 == 0 else near(chord[2], root)
            mix.add(string(low), bar, beat, gain=rng.uniform(0.5, 0.65), pan=-0.2, send=0.15)
            late = rng.uniform(0.0, 0.02)
            mix.add(string(strings[picking[beat]]), bar, beat + 0.5 + late, gain=rng.uniform(0.35, 0.5), pan=0.2)
        if bar % 4 == 3 or bar == mix.bars - 1:  # a strum closes the phrase
            for i, pitch in enumerate(strings):
                mix.add(string(pitch), bar, 3.5 if bar < mix.bars - 1 else 4.0 + 0.03 * i, gain=0.3, send=0.2)
    rhythms: Rhythms = [[1, 1, 2], [1.5, 0.5, 1, 1], [-1, 1, 0.5, 0.5, 1], [2, 1, 1], [0.5, 0.5, 1, 2]]
    for note in melody(rng, key, chords, rhythms=rhythms, centre=71):
        mix.add(string(note.pitch), note.bar, note.beat, gain=rng.uniform(0.45, 0.65), pan=0.1, send=0.25)
    return mix.master(rng, room=taste.uniform(0.6, 1.2), level=-20.0)


def string_quartet(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Two violins, viola and cello: a tune over held or repeated chords."""
    bow, warmth = taste.uniform(0.06, 0.2), taste.uniform(0.62, 0.82)
    key = Key.choose(rng, pick(taste, ["major", "minor", "harmonic minor"]), low=50)
    mix = Mix(bpm=taste.uniform(66, 108) * rng.uniform(0.95, 1.05), seconds=seconds, beats=pick(rng, [3, 4]))
    chords = progression(rng, [[0, 3, 4, 0], [0, 5, 1, 4], [0, 4, 5, 2, 3, 0, 3, 4], [0, 2, 5, 4]], bars=mix.bars)
    repeats = pick(rng, [1, 1, 2])  # notes a beat of the inner voices, or held ones

    def bowed(pitch: int, length: float, bar: float, beat: float, *, gain: float, pan: float) -> None:
        length = length * mix.beat + 0.08
        y = synth.saw(hz(pitch + rng.normal(0, 0.03)), length, brightness=warmth, vibrato=rng.uniform(0.1, 0.3))
        y += 0.02 * synth.noise(length, rng)[: y.size]  # the bow itself
        mix.add(shape(y, attack=min(bow, length / 3), release=0.12), bar, beat, gain=gain, pan=pan, send=0.4)

    held = rng.random() < 0.5
    for bar in range(mix.bars):
        chord = key.chord(chords[bar])
        lower = voicing(chord, 60)
        bowed(near(chord[0], 43), mix.beats, bar, 0, gain=0.3, pan=0.5)
        if held:
            bowed(lower[0], mix.beats, bar, 0, gain=0.18, pan=0.2)
            bowed(lower[-1], mix.beats, bar, 0, gain=0.18, pan=-0.2)
            continue
        for i in range(mix.beats * repeats):
            bowed(lower[i % 2], 0.8 / repeats, bar, i / repeats, gain=0.2, pan=0.2)
            bowed(lower[-1 - i % 2], 0.8 / repeats, bar, i / repeats, gain=0.2, pan=-0.2)
    rhythms: dict[int, Rhythms] = {
        3: [[2, 1], [1.5, 0.5, 1], [1, 1, 1]],
        4: [[2, 1, 1], [3, 1], [1.5, 0.5, 2], [1, 1, 1, 0.5, 0.5]],
    }
    for note in melody(rng, key, chords, rhythms=rhythms[mix.beats], centre=76):
        bowed(note.pitch, note.length, note.bar, note.beat, gain=0.3, pan=-0.5)
    mix.dry += 0.8 * synth.bandpass(mix.dry, 250, 900) - 0.5 * synth.highpass(mix.dry, 4000)  # the wooden bodies
    return mix.master(rng, room=taste.uniform(1.0, 1.8), level=-22.0)


def metal(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Distorted guitars left and right, bass, a double bass drum."""
    drive, edge = taste.uniform(8, 30), taste.uniform(3500, 5500)
    key = Key.choose(rng, pick(taste, ["phrygian", "minor", "harmonic minor"]), low=33)
    bpm = taste.uniform(135, 195)
    mix, left, right = (Mix(bpm=bpm, seconds=seconds) for _ in range(3))
    chords = progression(rng, [[0, 0, 5, 6], [0, 0, 1, 0], [0, 3, 0, 1], [0, 5, 3, 4], [0, 1, 5, 4]], bars=mix.bars)
    riffs: Rhythms = [[1, 0.5, 0.5, 1, 0.5, 0.5], [0.5, 0.25, 0.25] * 4, [1.5, 1.5, 1], [0.25] * 8 + [1, 1]]
    riff = pick(rng, riffs)
    feet = pick(rng, [[0.25] * 16, [0.5, 0.25, 0.25] * 4, [0.5] * 8])
    guitars = [cache(lambda pitch, muted: power_chord(pitch, rng, muted=muted)) for _ in range(2)]
    drum, crack = kick(rng, pitch=60, click=0.8, fall=0.2), snare(rng, pitch=220, rattle=1.0)
    crash, tick = hat(rng, fall=1.5, cutoff=4000), hat(rng, fall=0.12, cutoff=6000)
    for bar in range(mix.bars):
        root, beat = near(key.pitch(chords[bar]), 37), 0.0
        for length in riff:
            for side, guitar in zip((left, right), guitars, strict=True):
                y = guitar(root, length <= 0.5)[: synth.samples(length * mix.beat)]
                side.add(shape(y, attack=0.001, release=0.01), bar, beat + rng.uniform(0, 0.02))
            low = synth.saw(hz(root - 12), 0.95 * length * mix.beat, brightness=0.7)
            mix.add(shape(low), bar, beat, gain=0.25, send=0.0)
            beat += length
        for start in np.cumsum(feet) - feet[0] if bar >= 2 else (0.0, 2.0):
            mix.add(drum, bar, float(start), gain=0.6, send=0.02)
        for i in range(4):
            mix.add(tick, bar, i, gain=0.25, pan=0.4, send=0.05)
            if i % 2:
                mix.add(crack, bar, i, gain=0.8, send=0.2)
        if bar % 4 == 0:
            mix.add(crash, bar, 0, gain=0.4, pan=-0.4, send=0.2)
    mix.add(crash, mix.bars, gain=0.4, send=0.2)  # a last chord rings on
    for side, guitar in zip((left, right), guitars, strict=True):
        side.add(guitar(near(key.pitch(0), 37), False), mix.bars)
    for channel, side in enumerate((left, right)):
        loud = np.tanh(np.float32(drive) * synth.highpass(side.dry[0], 90.0))
        mix.dry[channel] += 0.4 * synth.lowpass(loud, edge, order=4)  # the loudspeaker of the amplifier
    return mix.master(rng, room=0.8, level=-12.0)


def dub(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Reggae turned into dub: off-beat chords with echoes, one drop, a bass in front."""
    fed, organ = taste.uniform(0.35, 0.6), pick(taste, [[1, 0.8, 0.5, 0, 0.3], [1, 0, 0.6, 0, 0.3], [1, 0.3]])
    key = Key.choose(rng, pick(taste, ["minor", "dorian", "major"]), low=45)
    mix = Mix(bpm=taste.uniform(132, 152), seconds=seconds)
    chords = progression(rng, [[0, 0, 3, 3], [0, 0, 4, 4], [0, 0, 6, 6], [0, 0, 3, 4]], bars=mix.bars)
    lines: list[list[tuple[float, int]]] = [
        [(0, 0), (1.5, 0), (2, 2), (3, 4)],
        [(0.5, 0), (1, 0), (2.5, 4)],
        [(0, 0), (2, 4), (3, 2)],
    ]
    line = pick(rng, lines)
    drum, rim = kick(rng, pitch=50, click=0.1), snare(rng, pitch=taste.uniform(380, 520), rattle=0.25)
    tick, delay = hat(rng, fall=0.08), 0.75 * mix.beat * pick(taste, [1, 2])
    skank = cache(lambda pitch: shape(synth.tone(hz(pitch), 0.13, partials=organ), release=0.04))
    for bar in range(mix.bars):
        chord = key.chord(chords[bar])
        for beat in (1.0, 3.0):
            thrown = rng.random() < 0.25
            for pitch in voicing(chord, 64):
                y = synth.echo(skank(pitch), delay, feedback=fed) if thrown else skank(pitch)
                mix.add(y, bar, beat, gain=0.22, pan=-0.3, send=0.5 if thrown else 0.15)
        for beat, third in line:
            low = near(key.pitch(chords[bar] + third), 36)
            y = synth.tone(hz(low), 0.9 * mix.beat, partials=[1, 0.35, 0.1])
            mix.add(shape(y, attack=0.01, release=0.08), bar, beat, gain=0.8, send=0.0)
        for beat in (0.5, 1, 1.5, 2.5, 3, 3.5):
            mix.add(tick, bar, beat, gain=rng.uniform(0.08, 0.2), pan=0.4, send=0.05)
        if bar >= 2:
            hit = synth.echo(rim, delay, feedback=fed) if rng.random() < 0.3 else rim
            mix.add(drum, bar, 2, gain=0.9, send=0.05)
            mix.add(hit, bar, 2, gain=0.45, pan=0.1, send=0.4)
    rhythms: Rhythms = [[-4], [1, 1, -2], [1.5, 0.5, -2], [-1, 1, 2]]
    for note in melody(rng, key, chords, rhythms=rhythms, centre=72):
        reed = synth.saw(hz(note.pitch), note.length * mix.beat, brightness=0.75, vibrato=0.15)  # a melodica
        mix.add(synth.echo(shape(reed, attack=0.04), delay, feedback=fed), note.bar, note.beat, gain=0.1, send=0.4)
    return mix.master(rng, room=1.6, level=-16.0)


def jazz_trio(rng: Random, taste: Random, seconds: float) -> FloatArray:
    """Piano, walking bass and a swinging ride cymbal over seventh chords."""
    swing = taste.uniform(0.6, 0.68)  # where the second eighth falls in the beat
    key = Key.choose(rng, pick(taste, ["major", "dorian"]), low=48)
    mix = Mix(bpm=taste.uniform(112, 190), seconds=seconds)
    chords = progression(rng, [[1, 4, 0, 5], [0, 5, 1, 4], [2, 5, 1, 4], [0, 3, 2, 5, 1, 4, 0, 4]], bars=mix.bars)
    piano, dark = grand_piano(taste.uniform(0.5, 0.7), ring=1.2), taste.uniform(0.2, 0.4)
    cymbal, foot = ride(rng, ping=taste.uniform(0.15, 0.4)), hat(rng, fall=0.05, cutoff=5000)
    brush = snare(rng, rattle=0.5, fall=0.15)
    bass = cache(lambda pitch: shape(synth.pluck(hz(pitch), 0.6, rng, brightness=dark, sustain=0.98, place=0.3)))
    comping: Rhythms = [[0, 1 + swing], [swing, 2 + swing], [1 + swing], [0, 2 + swing], [1, 3 + swing]]
    for bar in range(mix.bars):
        walk = [chords[bar], chords[bar] + pick(rng, [2, 1, 4]), chords[bar] + pick(rng, [4, 3, 2])]
        steps = [near(key.pitch(degree), 40) for degree in walk]
        following = chords[min(bar + 1, mix.bars - 1)]
        steps.append(near(key.pitch(following), 40) + pick(rng, [-1, 1, 2]))  # leads into the next root
        for beat, pitch in enumerate(steps):
            mix.add(bass(pitch), bar, beat + rng.uniform(0, 0.03), gain=0.7, send=0.08)
            mix.add(cymbal, bar, beat, gain=0.3 + 0.08 * (beat % 2), pan=0.4, send=0.1)
            if beat % 2:
                mix.add(cymbal, bar, beat + swing, gain=rng.uniform(0.15, 0.25), pan=0.4, send=0.1)
                mix.add(foot, bar, beat, gain=0.3, pan=-0.3, send=0.05)
        if rng.random() < 0.5:
            mix.add(brush, bar, pick(rng, [1 + swing, 3.0, 3 + swing]), gain=0.2, send=0.15)
        for start in pick(rng, comping):
            for pitch in voicing(key.chord(chords[bar], size=5)[1:], 60):
                mix.add(piano(pitch), bar, start, gain=0.22, pan=-0.3, send=0.15)
    pair = [swing, 1 - swing]
    rhythms = [[*pair, *pair, *pair, -1], [-1, *pair, 1, 1], [*pair, 1, *pair, 1]]
    for note in melody(rng, key, chords, rhythms=rhythms, centre=75, leap=2):
        mix.add(piano(note.pitch), note.bar, note.beat, gain=rng.uniform(0.4, 0.6), pan=-0.2, send=0.2)
    return mix.master(rng, room=0.7, level=-19.0)


STYLES: dict[str, Builder] = {
    "nocturne": nocturne,
    "drum-and-bass": drum_and_bass,
    "house": house,
    "ambient": ambient,
    "chiptune": chiptune,
    "folk": folk,
    "quartet": string_quartet,
    "metal": metal,
    "dub": dub,
    "jazz": jazz_trio,
}
"""Every style by its name."""
