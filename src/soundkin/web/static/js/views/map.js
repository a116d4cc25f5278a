// Map: the whole library in two dimensions, as soon as it is laid out.

import * as api from "../api.js";
import { drawAtlas } from "../atlas.js";
import { el, icon, refill } from "../dom.js";
import { percent } from "../format.js";
import { complain } from "../overlays.js";
import { empty } from "../parts.js";
import { S } from "../strings.js";

const ASK_EVERY = 3000; // ms, should an event be lost

export async function render({ root, signal, title }) {
    title(S.map);
    const head = el(
        "header",
        { class: "map-head" },
        el("div", {}, el("h1", {}, S.map), el("p", { class: "lead" }, S.mapLead)),
    );
    const note = el("div", { class: "map-note" });
    const place = el("div", { class: "map-place" });
    refill(root, head, note, place);
    root.classList.add("map-view");

    let drawn = null; // the state of the library that the map on the page shows
    let following = null;
    const begin = async () => {
        try {
            await api.post("/map", {});
            await update();
        } catch (error) {
            complain(error);
        }
    };
    const button = (text) =>
        el("button", { type: "button", class: "button primary", on: { click: begin } }, icon("map"), text);
    const bar = el("progress", { "aria-label": S.mapComputing });
    const told = el("span", {});
    const progress = (share) => {
        if (share > 0) bar.value = share;
        else bar.removeAttribute("value");
        told.textContent = share > 0 ? S.mapProgress(percent(share)) : S.mapComputing;
    };

    const update = async () => {
        const [map, status] = await Promise.all([api.get("/map", {}, { signal }), api.get("/status", {}, { signal })]);
        if (!status.tracks) {
            refill(
                place,
                empty(
                    S.emptyTitle,
                    S.emptyText,
                    el("a", { class: "button primary", href: "/library" }, icon("folder"), S.addMusic),
                ),
            );
            return;
        }
        if (map.points && drawn !== map.generation) {
            drawn = map.generation;
            await drawAtlas(place, head, signal);
        }
        const computing = map.state === "computing";
        const stale = map.points > 0 && map.generation !== status.generation;
        const again = el(
            "button",
            { type: "button", class: "button small", on: { click: begin } },
            icon("refresh"),
            S.mapAgain,
        );
        const failed = map.error && el("span", { class: "form-problem" }, icon("warning"), map.error);
        progress(map.progress);
        if (map.points) refill(note, computing ? [told, bar] : [failed, stale && [S.mapStale, again]]);
        else if (computing) refill(place, el("div", { class: "empty" }, el("h2", {}, S.mapTakes), bar, told));
        else refill(place, empty(S.mapNone, S.mapNoneText, failed, button(S.mapDraw)));
        if (computing) follow();
        else following?.abort();
    };

    /** Follow a map that is being made, until it is made. */
    const follow = () => {
        if (following && !following.signal.aborted) return;
        const stop = (following = new AbortController());
        signal.addEventListener("abort", () => stop.abort(), { once: true });
        api.listen(
            { map: (now) => (now.state === "computing" ? progress(now.progress) : update().catch(() => {})) },
            stop,
        );
        const timer = window.setInterval(() => update().catch(() => {}), ASK_EVERY);
        stop.signal.addEventListener("abort", () => window.clearInterval(timer));
    };
    await update();
}
