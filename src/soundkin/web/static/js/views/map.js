// Map: the whole library in two dimensions, as soon as it is laid out.

import * as api from "../api.js";
import { drawAtlas } from "../atlas.js";
import { button, debounced, el, icon, refill } from "../dom.js";
import { percent } from "../format.js";
import { complain } from "../overlays.js";
import { empty } from "../parts.js";
import { refreshStatus } from "../shell.js";
import { S } from "../strings.js";

const ASK_EVERY = 3000; // ms while a map is made, should an event be lost
const SOON = 5000; // songs up to which a map takes seconds, and is made unasked

export async function render({ root, signal, title }) {
    title(S.map);
    const head = el(
        "header",
        { class: "map-head" },
        el("div", {}, el("h1", {}, S.map), el("p", { class: "lead" }, S.mapLead)),
    );
    const note = el("div", { class: "map-note", role: "status" });
    const place = el("div", { class: "map-place" });
    refill(root, head, place);
    root.classList.add("map-view");

    let renew = null; // draws the map anew, once there is one on the page
    let drawn = null; // the state of the library that the map on the page shows
    let known = null; // the one that the service spoke of last
    let tried = null; // the one that a map was last asked for unasked
    const begin = async () => {
        try {
            await api.post("/map", {});
        } catch (error) {
            complain(error);
        }
        await update();
    };
    const bar = el("progress", { "aria-label": S.mapComputing });
    const told = el("span", {});
    const progress = (share) => {
        if (share > 0) bar.value = share;
        else bar.removeAttribute("value");
        told.textContent = share > 0 ? S.mapProgress(percent(share)) : S.mapComputing;
    };

    let timer = 0;
    signal.addEventListener("abort", () => window.clearTimeout(timer));

    async function update() {
        const [map, status] = await Promise.all([api.get("/map", {}, { signal }), refreshStatus()]);
        known = status.generation;
        if (!status.tracks) {
            const add = el("a", { class: "button primary", href: "/library" }, icon("folder"), S.addMusic);
            refill(place, empty(S.emptyTitle, S.emptyText, add));
            return;
        }
        if (map.points && drawn !== map.generation) {
            drawn = map.generation;
            if (renew) await renew();
            else {
                renew = await drawAtlas(place, head, signal);
                place.querySelector(".map-box")?.append(note);
            }
        }
        const computing = map.state === "computing";
        const behind = map.generation !== status.generation;
        if (behind && !computing && !status.scanning && status.tracks <= SOON && tried !== status.generation) {
            tried = status.generation; // once: what fails is for the user to ask for again
            await begin();
            return;
        }
        const failed = map.error && el("span", { class: "form-problem" }, icon("warning"), map.error);
        progress(map.progress);
        if (map.points) {
            const follows = status.scanning && status.tracks <= SOON;
            const again = [S.mapStale, button("refresh", S.mapAgain, begin, { class: "small" })];
            refill(note, computing ? [told, bar] : [failed, behind && (follows ? S.mapScanning : again)]);
        } else if (computing) refill(place, el("div", { class: "empty" }, el("h2", {}, S.mapTakes), bar, told));
        else {
            const draw = button("map", S.mapDraw, begin, { class: "primary" });
            refill(place, empty(S.mapNone, S.mapNoneText, failed, draw));
        }
        window.clearTimeout(timer);
        if (computing) timer = window.setTimeout(soon, ASK_EVERY);
    }

    const soon = debounced(() => update().catch(() => {}), 150);
    signal.addEventListener("abort", soon.cancel);
    await update();
    api.listen(
        {
            map: (now) => (now.state === "computing" ? progress(now.progress) : soon()),
            scan: ({ phase }) => phase === "looking" && soon(),
            "scan-ended": soon,
            changed: ({ generation }) => generation !== known && soon(),
        },
        { signal },
    );
}
