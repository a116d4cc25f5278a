// A dialog to choose a song by typing.

import * as api from "./api.js";
import { cover } from "./cover.js";
import { announce, debounced, el, refill } from "./dom.js";
import { byline } from "./format.js";
import { openDialog } from "./overlays.js";
import { S } from "./strings.js";

/** The song that is chosen, or undefined. `without` is the id of one that is not offered. */
export function pickSong(title, { without = 0 } = {}) {
    let asking = new AbortController();
    return openDialog(title, (close) => {
        const list = el("ul", { class: "choices picker-list", "aria-label": S.songs });
        const input = el("input", {
            type: "search",
            class: "field",
            placeholder: S.pickPlaceholder,
            "aria-label": S.pickPlaceholder,
            autocomplete: "off",
            spellcheck: "false",
            autofocus: true,
        });
        let answered = null; // the words that the list answers
        let drawn = null; // the songs in it
        const search = async () => {
            asking.abort();
            asking = new AbortController();
            const q = input.value.trim();
            try {
                const found = q
                    ? await api.get("/search", { q, limit: 20 }, asking)
                    : await api.get("/tracks", { order: "added", limit: 20 }, asking);
                const tracks = found.items.filter((track) => track.id !== without);
                answered = q;
                const ids = tracks.map((track) => track.id).join();
                announce(S.results(tracks.length));
                if (ids && ids === drawn) return; // whoever is about to click should not miss
                drawn = ids;
                refill(
                    list,
                    tracks.map((track) =>
                        el(
                            "li",
                            {},
                            el(
                                "button",
                                { type: "button", class: "choice", on: { click: () => close(track) } },
                                cover(track, 40),
                                el(
                                    "span",
                                    { class: "choice-text" },
                                    el("span", {}, track.title),
                                    el("span", { class: "choice-note" }, byline(track)),
                                ),
                            ),
                        ),
                    ),
                );
                if (!tracks.length) list.append(el("li", { class: "picker-none" }, S.nothingFound(q)));
            } catch (error) {
                if (error.name === "AbortError") return;
                drawn = null;
                refill(list, el("li", { class: "picker-none" }, error.message));
            }
        };
        const later = debounced(search, 120);
        input.addEventListener("input", () => later());
        /** The first song that answers what stands in the field, which may be more than the list knows yet. */
        const pickFirst = async () => {
            later.cancel();
            if (answered !== input.value.trim()) await search();
            if (answered === input.value.trim()) list.querySelector("button")?.click();
        };
        const steps = (event) => {
            const buttons = [...list.querySelectorAll("button")];
            const at = buttons.indexOf(document.activeElement);
            if (event.key === "ArrowDown" && buttons.length) buttons[Math.min(at + 1, buttons.length - 1)].focus();
            else if (event.key === "ArrowUp" && at >= 0) (buttons[at - 1] ?? input).focus();
            else if (event.key === "Enter" && document.activeElement === input) void pickFirst();
            else return;
            event.preventDefault();
        };
        void search();
        return el("div", { class: "picker", on: { keydown: steps } }, input, list);
    }).finally(() => asking.abort());
}
