// Pieces that several views are made of: rows of songs, failures, waiting places.

import { trackMenu } from "./actions.js";
import { cover } from "./cover.js";
import { button, el, icon, iconButton, refill } from "./dom.js";
import { byline, clock, performer } from "./format.js";
import { player, playState } from "./player.js";
import { S } from "./strings.js";

export const songUrl = (track) => (track.id > 0 ? `/song/${track.id}` : `/ask/${encodeURIComponent(track.token)}`);

/** What went wrong and the way out. */
export function failure(error, again) {
    return el(
        "div",
        { class: "failure", role: "alert" },
        icon("warning"),
        el("p", {}, error.message),
        again && button("refresh", S.tryAgain, again),
    );
}

/** Nothing here yet, and what to do. */
export const empty = (title, text, ...more) =>
    el("div", { class: "empty" }, el("h2", {}, title), text && el("p", {}, text), ...more);

/** The head of a list of songs: what stands above its name, what stands below, and what can be done with it. */
export const listHead = (above, heading, below, ...actions) =>
    el("header", { class: "list-head" }, above, heading, below, el("div", { class: "song-actions" }, actions));

/** The places of `n` rows that are on their way, so that nothing jumps when they come. */
export function skeleton(n) {
    return el(
        "ul",
        { class: "rows", "aria-hidden": "true" },
        Array.from({ length: n }, () =>
            el(
                "li",
                { class: "row row-skeleton" },
                el("span", { class: "bone bone-square" }),
                el("span", { class: "bone" }),
            ),
        ),
    );
}

/** Keep a play button true to the player until `signal` says stop. */
function follow(button, track, signal) {
    const update = () => {
        const state = playState(track);
        const label = state === "playing" ? S.pauseTitle(track.title) : S.playTitle(track.title);
        if (button.dataset.state === state && button.getAttribute("aria-label") === label) return;
        button.dataset.state = state;
        button.setAttribute("aria-label", label);
        button.title = state === "playing" ? S.pause : S.play;
        button.querySelector(".icon")?.replaceWith(icon(state === "playing" ? "pause" : "play"));
        button.closest(".row, .card")?.classList.toggle("current", state !== "");
    };
    player.addEventListener("state", update, { signal });
    player.addEventListener("track", update, { signal });
    update();
}

/** A button with the cover that plays a song; `play()` starts it. */
export function coverButton(track, { play, size = 44, signal, big = false }) {
    const press = () => (playState(track) ? player.toggle() : play());
    const off = track.has_file === false;
    const button = el(
        "button",
        { type: "button", class: big ? "cover-button big" : "cover-button", disabled: off, on: { click: press } },
        cover(track, size),
        el("span", { class: "cover-play" }, icon("play")),
    );
    if (off) button.title = S.fileMissing;
    queueMicrotask(() => follow(button, track, signal));
    return button;
}

/**
 * A row of a list of songs: cover and play, title and artist, what the list adds, duration, menu. `extra` stands
 * between text and duration, `tools` before the menu, `lead` before all.
 */
export function trackRow(track, { play, signal, lead = null, extra = null, tools = [], menu = [], tag = "li" }) {
    const more = iconButton("more", S.moreFor(track.title), () => openTrackMenu(), { "aria-haspopup": "menu" });
    const openTrackMenu = () => trackMenu(more, track, menu);
    const row = el(
        tag,
        { class: track.has_file === false ? "row row-gone" : "row", data: { track: track.id } },
        lead,
        coverButton(track, { play, signal }),
        el(
            "div",
            { class: "row-text" },
            el("a", { class: "row-title", href: songUrl(track) }, track.title),
            el("span", { class: "row-by" }, byline(track)),
        ),
        extra,
        el("span", { class: "row-time" }, clock(track.duration)),
        el("div", { class: "row-tools" }, tools, more),
    );
    row.addEventListener("contextmenu", (event) => {
        if (event.target.closest("a, input") || event.shiftKey) return;
        event.preventDefault();
        openTrackMenu();
    });
    return row;
}

/** A list of songs in which the play button of each plays the list from there on. */
export function trackList(tracks, { signal, label, rowOf = () => ({}), ordered = false }) {
    const list = el(ordered ? "ol" : "ul", { class: "rows", "aria-label": label });
    tracks.forEach((track, i) =>
        list.append(trackRow(track, { play: () => player.play(tracks, i), signal, ...rowOf(track, i) })),
    );
    return list;
}

/** Let the arrow keys lead from song to song in a list; `before` is where "up" leads from the first one. */
export function arrowKeys(root, { before = null, signal }) {
    root.addEventListener(
        "keydown",
        (event) => {
            if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
            const links = [...root.querySelectorAll(".row-title, .card-title")];
            const row = event.target.closest(".row, .card");
            const at = links.findIndex((link) => row?.contains(link));
            if (at < 0) return;
            event.preventDefault();
            const to = at + (event.key === "ArrowDown" ? 1 : -1);
            if (to < 0) before?.focus();
            else links[Math.min(to, links.length - 1)].focus();
        },
        { signal },
    );
}

/** A card: a large cover that plays, the title that leads to the song. */
export function trackCard(track, { play, signal }) {
    return el(
        "li",
        { class: "card", data: { track: track.id } },
        coverButton(track, { play, size: 200, signal, big: true }),
        el("a", { class: "card-title", href: songUrl(track) }, track.title),
        el("span", { class: "card-by" }, performer(track)),
    );
}

/**
 * A list that grows by "show more". `fetchPage(offset)` gives `{items, total}`, `show(items, all)` a node of the new
 * ones. Returns the first page.
 */
export async function growing(place, { fetchPage, show, signal }) {
    const all = [];
    const list = el("div");
    const more = el("div", { class: "more" });
    const step = async () => {
        const page = await fetchPage(all.length);
        if (signal.aborted) return page;
        all.push(...page.items);
        list.append(show(page.items, all));
        const left = page.total === null ? page.items.length === page.limit : all.length < page.total;
        const press = () => step().catch((error) => !signal.aborted && refill(more, failure(error, press)));
        refill(more, left && page.items.length > 0 && button(null, S.showMore, press));
        return page;
    };
    const page = await step();
    place.append(list, more);
    return page;
}
