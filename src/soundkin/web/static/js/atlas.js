// The map itself: points, legend, selection. It is drawn in a frame of its own (static/map/), which hears messages.

import { addToPlaylist } from "./actions.js";
import * as api from "./api.js";
import { announce, button, debounced, el, iconButton, refill } from "./dom.js";
import { byline, count } from "./format.js";
import { complain } from "./overlays.js";
import { empty } from "./parts.js";
import { player } from "./player.js";
import { S } from "./strings.js";
import { colour, themeChanged } from "./theme.js";

const COLOURS = 11; // that can be told apart; the rest are "others"
const NEARBY = 12; // songs that play after one that was clicked
const MOST = 500; // songs of a selection that are played or kept

/** The points, as the service packs them. */
function unpack(bytes) {
    const n = new DataView(bytes).getUint32(0, true);
    return {
        n,
        ids: new Int32Array(bytes, 4, n),
        x: new Float32Array(bytes, 4 + 4 * n, n),
        y: new Float32Array(bytes, 4 + 8 * n, n),
        tag: new Uint16Array(bytes, 4 + 12 * n, n),
        genre: new Uint16Array(bytes, 4 + 14 * n, n),
    };
}

/** The commonest labels get a colour each, all others one together: {names, counts, group (n,)}. */
function grouped(values, labels) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    const told = [...counts]
        .filter(([value]) => labels[value])
        .sort((a, b) => b[1] - a[1])
        .slice(0, COLOURS);
    const place = new Map(told.map(([value], i) => [value, i]));
    const group = Uint8Array.from(values, (value) => place.get(value) ?? told.length);
    const rest = values.length - told.reduce((sum, [, k]) => sum + k, 0);
    return {
        names: [...told.map(([value]) => labels[value]), S.others],
        counts: [...told.map(([, k]) => k), rest],
        group,
    };
}

/**
 * Draw the map into `place`, and what belongs to it into `head`. The frame that it lives in must not reach the page.
 * Returns `renew()`, which fetches the map as it is by then and draws it in the same place.
 */
export async function drawAtlas(place, head, signal) {
    let points, legend, rowOf;
    const load = async () => {
        [points, legend] = await Promise.all([
            api.getBytes("/map/points", { signal }).then(unpack),
            api.get("/map/legend", {}, { signal }),
        ]);
        rowOf = new Map(Array.from(points.ids, (id, i) => [id, i]));
    };
    await load();
    const frame = el("iframe", {
        class: "map-frame",
        src: "/static/map/index.html",
        sandbox: "allow-scripts",
        title: S.mapLabel,
    });
    const wait = el("p", { class: "map-wait note" }, S.mapComputing);
    const tip = el("div", { class: "map-tip", hidden: true });
    const key = el("ul", { class: "legend", "aria-label": S.legend });
    const chosen = el("div", { class: "map-chosen", role: "status" });
    const tell = (message) => frame.contentWindow?.postMessage(message, "*");
    let by = legend.tags.length ? "tag" : "genre";
    let groups = null;
    let only = -1;

    const paint = ({ fit = false } = {}) => {
        groups = grouped(points[by], by === "tag" ? legend.tags : legend.genres);
        only = -1;
        const colours = groups.names.map((_, i) => colour(i < groups.names.length - 1 ? `map-${i + 1}` : "map-other"));
        const size = points.n > 20000 ? 3 : points.n > 2000 ? 5 : points.n > 300 ? 8 : 11;
        tell({
            type: "draw",
            fit,
            x: points.x,
            y: points.y,
            group: groups.group,
            colours,
            size,
            ink: colour("ink"),
            marked: rowOf.get(player.track?.id) ?? -1,
        });
        refill(
            key,
            groups.names.map((name, i) => groups.counts[i] > 0 && el("li", {}, swatch(name, colours[i], i))),
        );
    };
    const swatch = (name, tone, i) => {
        const dot = el("span", { class: "swatch" });
        dot.style.backgroundColor = tone;
        const press = () => {
            only = only === i ? -1 : i;
            tell({ type: "only", group: only });
            for (const button of key.querySelectorAll("button"))
                button.setAttribute("aria-pressed", String(button === this_ && only === i));
        };
        const this_ = el(
            "button",
            {
                type: "button",
                class: "legend-item",
                "aria-pressed": "false",
                title: S.mapShow(name),
                on: { click: press },
            },
            dot,
            el("span", {}, name),
            el("span", { class: "chip-count" }, count(groups.counts[i])),
        );
        return this_;
    };

    const tracks = new Map();
    const fetchTracks = async (indices) => {
        const ids = [...indices].map((i) => points.ids[i]);
        for (let i = 0; i < ids.length; i += 100) {
            const missing = ids.slice(i, i + 100).filter((id) => !tracks.has(id));
            if (!missing.length) continue;
            const { items } = await api.get("/tracks/batch", { ids: missing.join(",") }, { signal });
            for (const track of items) tracks.set(track.id, track);
        }
        return ids.map((id) => tracks.get(id)).filter(Boolean);
    };
    let hovered = -1;
    const hover = debounced(async (index, x, y) => {
        try {
            const [track] = await fetchTracks([index]);
            if (hovered !== index || !track) return;
            refill(
                tip,
                el("strong", {}, track.title),
                el("span", {}, byline(track)),
                el("span", { class: "tip-group" }, groups.names[groups.group[index]]),
            );
            tip.hidden = false;
            tip.style.left = `${Math.max(4, Math.min(x + 14, frame.clientWidth - tip.offsetWidth - 8))}px`;
            tip.style.top = `${Math.max(4, Math.min(y + 14, frame.clientHeight - tip.offsetHeight - 8))}px`;
        } catch {
            tip.hidden = true;
        }
    }, 40);

    const nearest = (index) => {
        const [x, y] = [points.x[index], points.y[index]];
        const order = Array.from({ length: points.n }, (_, i) => i);
        const far = Float64Array.from(order, (i) => (points.x[i] - x) ** 2 + (points.y[i] - y) ** 2);
        return order.sort((a, b) => far[a] - far[b]).slice(0, NEARBY);
    };
    const choose = (indices) => {
        const few = indices.slice(0, MOST);
        const act = (run) => () => fetchTracks(few).then(run).catch(complain);
        refill(
            chosen,
            few.length > 0 && [
                el("span", {}, S.selected(indices.length)),
                indices.length > MOST && el("span", { class: "note" }, S.tooMany(MOST)),
                button(
                    "play",
                    S.play,
                    act((found) => player.play(found)),
                    { class: "small primary" },
                ),
                button(
                    "add",
                    S.saveAsPlaylist,
                    act((found) => addToPlaylist(found, { suggested: S.mapSelectionName })),
                    { class: "small" },
                ),
                button(null, S.clearSelection, () => (tell({ type: "clear" }), choose([])), { class: "small" }),
            ],
        );
        if (few.length) announce(S.selected(indices.length));
    };

    const heard = {
        ready: () => paint(),
        failed: () => refill(place, empty(S.mapFailed, S.mapKeyboard)),
        hover: ({ index, x, y }) => {
            hovered = index;
            if (index < 0) {
                hover.cancel();
                tip.hidden = true;
            } else hover(index, x, y);
        },
        click: ({ index }) =>
            index >= 0 &&
            fetchTracks(nearest(index))
                .then((found) => player.play(found))
                .catch(complain),
        selected: ({ points: indices }) => choose(Array.from(indices)),
        drawn: () => {
            place.classList.add("drawn");
            wait.remove();
        },
    };
    window.addEventListener(
        "message",
        (event) => {
            if (event.source === frame.contentWindow && Object.hasOwn(heard, event.data?.type))
                heard[event.data.type](event.data);
        },
        { signal },
    );
    themeChanged.addEventListener("change", () => paint(), { signal });
    player.addEventListener("track", () => tell({ type: "mark", index: rowOf.get(player.track?.id) ?? -1 }), {
        signal,
    });

    const either = (label, options, current, pick, { named = true } = {}) => {
        const group = el(
            "div",
            { class: "either", role: "group", "aria-label": label },
            named && el("span", { class: "note" }, label),
        );
        for (const [value, text] of options) {
            group.append(
                el(
                    "button",
                    {
                        type: "button",
                        class: "chip",
                        "aria-pressed": String(value === current),
                        on: {
                            click: (event) => {
                                for (const button of group.querySelectorAll("button"))
                                    button.setAttribute("aria-pressed", String(button === event.currentTarget));
                                pick(value);
                            },
                        },
                    },
                    text,
                ),
            );
        }
        return group;
    };
    const tools = el("div", { class: "map-tools" });
    head.append(tools);
    const drawTools = () => {
        const options = [
            ["tag", S.byTag],
            ["genre", S.byGenre],
        ];
        const both = legend.tags.length && legend.genres.length;
        if (!both) by = legend.tags.length ? "tag" : "genre";
        refill(tools, both > 0 && either(S.mapColour, options, by, (value) => ((by = value), paint())));
    };
    drawTools();
    const drag = el(
        "div",
        { class: "map-over left" },
        either(
            S.mapMode,
            [
                ["pan", S.modePan],
                ["lasso", S.modeLasso],
            ],
            "pan",
            (value) => tell({ type: "mode", mode: value }),
            { named: false },
        ),
    );
    const zoom = el(
        "div",
        { class: "map-over right" },
        iconButton("add", S.zoomIn, () => tell({ type: "zoom", by: 0.6 })),
        iconButton("minus", S.zoomOut, () => tell({ type: "zoom", by: 1 / 0.6 })),
        iconButton("refresh", S.zoomReset, () => tell({ type: "zoom", by: 0 })),
    );
    refill(
        place,
        el("div", { class: "map-box" }, wait, frame, drag, zoom, tip, chosen),
        key,
        el("p", { class: "unseen" }, S.mapKeyboard),
    );
    return async () => {
        await load();
        choose([]);
        drawTools();
        paint({ fit: true });
    };
}
