// The waveform of a song, and beneath it how strong each of its tags is over time.

import { el, fill, refill } from "./dom.js";
import { clock, percent } from "./format.js";
import { player, playState } from "./player.js";
import { S } from "./strings.js";
import { colour, themeChanged } from "./theme.js";

export const POINTS = 900;

/** A canvas that draws itself again when its size or the colours change. `draw(context, width, height)`. */
function picture(className, draw, signal) {
    const canvas = el("canvas", { class: className, "aria-hidden": "true" });
    const redraw = () => {
        const { clientWidth: width, clientHeight: height } = canvas;
        if (!width || !height) return;
        const sharp = Math.min(3, window.devicePixelRatio || 1);
        if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
            canvas.width = Math.round(width * sharp);
            canvas.height = Math.round(height * sharp);
        }
        const context = canvas.getContext("2d");
        context.setTransform(sharp, 0, 0, sharp, 0, 0);
        context.clearRect(0, 0, width, height);
        draw(context, width, height);
    };
    const observer = new ResizeObserver(redraw);
    observer.observe(canvas);
    signal.addEventListener("abort", () => observer.disconnect());
    themeChanged.addEventListener("change", redraw, { signal });
    canvas.redraw = redraw;
    return canvas;
}

/**
 * The panel. `track` plays from where it is clicked, by `playFrom(seconds)`. Returns `{node, setPeaks, setFigures, say, setTimeline, reserve}`.
 */
export function soundPanel(track, { playFrom, signal }) {
    let peaks = null;
    const { duration } = track;
    const position = () => (playState(track) ? player.position : 0);

    const wave = picture(
        "wave",
        (context, width, height) => {
            const bar = width < 500 ? 2 : 3;
            const n = Math.max(1, Math.floor(width / (bar + 1)));
            const passed = duration ? (position() / duration) * width : 0;
            const [before, after] = [colour("accent"), colour("wave")];
            for (let i = 0; i < n; i += 1) {
                const x = (i * width) / n;
                const tall = peaks ? Math.max(0.03, loudest(peaks, i / n, (i + 1) / n)) * (height - 4) : 2;
                context.fillStyle = x < passed ? before : after;
                context.fillRect(x, (height - tall) / 2, bar, tall);
            }
        },
        signal,
    );

    const head = el("span", { class: "playhead", "aria-hidden": "true" });
    const ghost = el("span", { class: "playhead ghost", "aria-hidden": "true" }, el("span", {}));
    const slider = el(
        "div",
        {
            class: "wave-box",
            role: "slider",
            tabindex: "0",
            "aria-label": S.waveform,
            "aria-valuemin": 0,
            "aria-valuemax": Math.round(duration),
            "aria-valuenow": 0,
        },
        wave,
    );
    const lanes = el("div", { class: "lanes" });
    const time = el("span", { class: "wave-time" });
    const figures = el("span", { class: "wave-figures" });
    const node = el(
        "div",
        { class: "sound" },
        el("div", { class: "wave-line" }, el("div", { class: "wave-told" }, time, figures), slider),
        lanes,
    );

    const shareAt = (event, box) => {
        const area = box.getBoundingClientRect();
        return Math.max(0, Math.min(1, (event.clientX - area.left) / area.width));
    };
    const over = el("div", { class: "sound-over" }, head, ghost);
    node.append(over);
    node.addEventListener("pointermove", (event) => {
        const share = shareAt(event, over);
        const inside = event.target.closest(".wave-box, .lane-strip") !== null;
        ghost.classList.toggle("shown", inside && event.pointerType === "mouse");
        ghost.style.left = `${100 * share}%`;
        ghost.firstChild.textContent = clock(share * duration);
    });
    node.addEventListener("pointerleave", () => ghost.classList.remove("shown"));
    node.addEventListener("click", (event) => {
        const box = event.target.closest(".wave-box, .lane-strip");
        if (box) playFrom(shareAt(event, box) * duration);
    });
    slider.addEventListener("keydown", (event) => {
        const at = position();
        const to = {
            ArrowLeft: at - 5,
            ArrowDown: at - 5,
            ArrowRight: at + 5,
            ArrowUp: at + 5,
            Home: 0,
            End: duration - 5,
            PageUp: at + 30,
            PageDown: at - 30,
        }[event.key];
        if (to === undefined && event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        if (to === undefined) playState(track) ? player.toggle() : playFrom(at);
        else if (playState(track)) player.seek(to);
        else playFrom(Math.max(0, to));
    });
    let drawn = -1;
    const follow = () => {
        const now = position();
        const share = duration ? Math.min(1, now / duration) : 0;
        head.style.left = `${100 * share}%`;
        head.classList.toggle("shown", playState(track) !== "");
        slider.setAttribute("aria-valuenow", String(Math.round(now)));
        slider.setAttribute("aria-valuetext", S.timeOf(clock(now), clock(duration)));
        time.textContent = clock(now);
        const pixel = Math.round(share * wave.clientWidth);
        if (pixel !== drawn) {
            drawn = pixel;
            wave.redraw();
        }
    };
    for (const name of ["time", "track", "state"]) player.addEventListener(name, follow, { signal });
    window.setTimeout(follow);

    return {
        node,
        setPeaks(values) {
            peaks = values;
            wave.redraw();
        },
        /** Tempo and loudness, where they are known; they stand where there is room, so nothing moves. */
        setFigures({ tempo, loudness }) {
            const known = (value) => typeof value === "number";
            refill(
                figures,
                known(tempo) && el("span", { title: S.tempoTitle }, S.tempo(tempo)),
                known(loudness) && el("span", { title: S.loudnessTitle }, S.loudness(loudness)),
            );
        },
        /** Why there is no waveform. */
        say(text) {
            refill(figures, el("span", { role: "status" }, text));
        },
        setTimeline(timeline) {
            const top = Math.max(0.3, ...timeline.tags.flatMap((tag) => tag.probabilities)); // rare tags are never probable: their course is what tells
            refill(
                lanes,
                timeline.tags.map((tag) => lane(tag, timeline, { top, duration, playFrom, signal })),
            );
        },
        reserve(n) {
            refill(
                lanes,
                Array.from({ length: n }, () =>
                    el(
                        "div",
                        { class: "lane", "aria-hidden": "true" },
                        el("span", { class: "lane-name" }),
                        el("div", { class: "lane-strip" }),
                    ),
                ),
            );
        },
    };
}

function loudest(peaks, from, to) {
    let most = 0;
    for (
        let i = Math.floor(from * peaks.length);
        i < Math.max(Math.floor(from * peaks.length) + 1, Math.floor(to * peaks.length));
        i += 1
    )
        most = Math.max(most, peaks[i] ?? 0);
    return most;
}

/** One tag over time: the taller, the more probable; its name plays where it is strongest. */
function lane(tag, { window: length, starts }, { top, duration, playFrom, signal }) {
    const most = Math.max(...tag.probabilities, 0);
    const best = starts[tag.probabilities.indexOf(most)] ?? 0;
    const strip = picture(
        "strip",
        (context, width, height) => {
            context.fillStyle = colour(
                `tag-${["genre", "mood", "era", "instrument", "voice"].includes(tag.category) ? tag.category : "other"}`,
            );
            starts.forEach((start, i) => {
                const [x, wide] = [(start / duration) * width, (length / duration) * width];
                const share = Math.min(1, tag.probabilities[i] / top);
                const tall = Math.max(1, share * (height - 2));
                context.globalAlpha = 0.4 + 0.6 * share;
                context.fillRect(x, height - tall, Math.max(1, wide - 1), tall);
            });
        },
        signal,
    );
    const said = S.timelineRow(tag.label, percent(most), clock(best));
    return fill(
        el("div", { class: "lane" }),
        el(
            "button",
            {
                type: "button",
                class: "lane-name",
                "aria-label": S.strongest(tag.label, clock(best)),
                title: said,
                on: { click: () => playFrom(best) },
            },
            tag.label,
        ),
        el("div", { class: "lane-strip" }, strip),
    );
}

/** Peaks of a file of the user's own, decoded by the browser; null where it cannot. */
export async function peaksOf(file) {
    if (!file || file.size > 80e6 || !window.OfflineAudioContext) return null;
    try {
        const buffer = await new OfflineAudioContext(1, 1, 22050).decodeAudioData(await file.arrayBuffer());
        const samples = buffer.getChannelData(0);
        const step = Math.max(1, Math.floor(samples.length / POINTS));
        const peaks = Array.from({ length: POINTS }, (_, i) => {
            let most = 0;
            for (let j = i * step; j < Math.min(samples.length, (i + 1) * step); j += 8)
                most = Math.max(most, Math.abs(samples[j]));
            return most;
        });
        const top = Math.max(...peaks, 1e-6);
        return peaks.map((peak) => peak / top);
    } catch {
        return null;
    }
}
