// Cover art: the file's own where it has one, and rings drawn from the album's name beneath and otherwise.

import { coverUrl } from "./api.js";
import { el, svg } from "./dom.js";

const without = new Set(); // tracks known to have no cover: not to be asked for again

function hash(text) {
    let h = 2166136261;
    for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    return h >>> 0;
}

/** Two families of rings, as two songs whose waves meet; the same album always gives the same picture. */
function placeholder(track) {
    const h = hash(`${track.artist ?? ""}/${track.album ?? track.title}`);
    const hue = h % 360;
    const other = (hue + 40 + ((h >>> 9) % 100)) % 360;
    const [ax, ay] = [8 + ((h >>> 3) % 30), 10 + ((h >>> 13) % 80)];
    const [bx, by] = [62 + ((h >>> 7) % 30), 10 + ((h >>> 19) % 80)];
    const step = 8 + ((h >>> 23) % 5);
    const picture = svg("svg", {
        viewBox: "0 0 100 100",
        class: "rings",
        preserveAspectRatio: "xMidYMid slice",
        "aria-hidden": "true",
        focusable: "false",
    });
    picture.append(svg("rect", { width: 100, height: 100, fill: `hsl(${hue} 38% 27%)` }));
    for (const [x, y, tone] of [
        [ax, ay, `hsl(${hue} 60% 68%)`],
        [bx, by, `hsl(${other} 62% 66%)`],
    ]) {
        for (let i = 1; i <= 6; i += 1) {
            const ring = { cx: x, cy: y, r: i * step, fill: "none", stroke: tone, "stroke-width": 2.6 - 0.3 * i };
            picture.append(svg("circle", { ...ring, "stroke-opacity": 0.95 - 0.11 * i }));
        }
    }
    return picture;
}

/** The cover of a track, decorative: its title always stands beside it. `size` is the largest width it is shown at. */
export function cover(track, size) {
    const frame = el("span", { class: "cover" }, placeholder(track));
    if (track.id > 0 && track.has_cover !== false && !without.has(track.id)) {
        const image = el("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
        image.addEventListener("load", () => image.classList.add("there"));
        image.addEventListener("error", () => {
            without.add(track.id);
            image.remove();
        });
        image.src = coverUrl(track.id, size <= 96 ? 96 : size <= 256 ? 256 : 512);
        frame.append(image);
    }
    return frame;
}
