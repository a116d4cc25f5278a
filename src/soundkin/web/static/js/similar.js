// Songs like a song: similarity, reason, and "more like this", "less like this", which re-rank at once.

import * as api from "./api.js";
import { announce, button, el, icon, iconButton, refill } from "./dom.js";
import { filterChips } from "./filters.js";
import { clock, percent } from "./format.js";
import { empty, failure, skeleton, trackRow } from "./parts.js";
import { player } from "./player.js";
import { setQuery } from "./router.js";
import { S } from "./strings.js";

const HOW_MANY = 20;
const PASSAGE = 8; // seconds that a passage is heard before the other one

/** The bar that tells how similar, with the figure beside it. */
export function match(similarity) {
    const level = el("span", { class: "match-bar", "aria-hidden": "true" });
    level.style.setProperty("--share", String(Math.max(0, Math.min(1, similarity))));
    return el(
        "span",
        { class: "match" },
        level,
        el(
            "span",
            { class: "match-value", title: S.similarity(percent(similarity)) },
            el("span", { class: "unseen" }, S.similarity("")),
            percent(similarity),
        ),
    );
}

/** Why: the words, and the passages that are alike, which play one after the other. */
export function reason(item, before) {
    const words = item.passages ? item.reason.split("; ").slice(0, -1).join("; ") : item.reason;
    const [a, b] = item.passages ?? [];
    const hear = () =>
        player.playPassages([
            { track: before, at: a, seconds: PASSAGE },
            { track: item.track, at: b },
        ]);
    const playable = item.passages && before && before.has_file !== false && item.track.has_file !== false;
    return el(
        "span",
        { class: "reason" },
        words && el("span", { class: "reason-words" }, words.replace(S.reasonBoth, "")),
        playable &&
            el(
                "button",
                {
                    type: "button",
                    class: "passages",
                    title: S.passagesTitle(clock(a), before.title, clock(b), item.track.title),
                    "aria-label": S.passagesTitle(clock(a), before.title, clock(b), item.track.title),
                    on: { click: hear },
                },
                icon("play"),
                S.passages(clock(a), clock(b)),
            ),
    );
}

/**
 * The list of songs like `track`, whose name as a seed is `seed`. `names` are tracks that the address spoke of, by id.
 * Returns the node.
 */
export function similarPanel(track, seed, { query, signal }) {
    const ids = (name) =>
        query
            .getAll(name)
            .map(Number)
            .filter((id) => Number.isInteger(id) && id > 0);
    const wish = { like: ids("like"), unlike: ids("unlike") };
    const filters = { only: query.getAll("only"), spaced: query.get("spaced") === "1" };
    const known = new Map();
    let asking = new AbortController();
    signal.addEventListener("abort", () => asking.abort());

    const list = el("ol", { class: "rows similar-rows", "aria-label": S.similarSongs });
    const place = el("div", { class: "similar-place" }, skeleton(8));
    const wishes = el("div", { class: "wishes" });
    const chips = filterChips(filters, () => rank());

    const drawWishes = () => {
        const chip = (name, id) => {
            const title = known.get(id)?.title ?? `#${id}`;
            const remove = () => {
                wish[name] = wish[name].filter((one) => one !== id);
                void rank();
            };
            return el(
                "button",
                {
                    type: "button",
                    class: `chip chip-${name}`,
                    "aria-label": S.without(title),
                    title: S.without(title),
                    on: { click: remove },
                },
                icon(name),
                el("span", {}, title),
                icon("close"),
            );
        };
        const reset = () => {
            wish.like = [];
            wish.unlike = [];
            void rank();
        };
        refill(
            wishes,
            wish.like.length > 0 && [
                el("span", { class: "note" }, S.moreLike),
                wish.like.map((id) => chip("like", id)),
            ],
            wish.unlike.length > 0 && [
                el("span", { class: "note" }, S.lessLike),
                wish.unlike.map((id) => chip("unlike", id)),
            ],
            wish.like.length + wish.unlike.length > 1 &&
                el("button", { type: "button", class: "chip", on: { click: reset } }, S.startOver),
        );
    };

    const want = (name, one) => {
        known.set(one.id, one);
        wish[name] = [...wish[name], one.id];
        const next = list.querySelector(`[data-track="${one.id}"]`)?.nextElementSibling?.dataset.track;
        void rank().then(() => list.querySelector(`[data-track="${next}"] .tool-${name}`)?.focus());
    };

    const row = (item, items, i, shown) => {
        const one = item.track;
        return trackRow(one, {
            signal: shown,
            play: () =>
                player.play(
                    items.map((each) => each.track),
                    i,
                ),
            extra: el("div", { class: "why" }, match(item.similarity), reason(item, track)),
            tools: [
                iconButton("like", S.likeTitle(one.title), () => want("like", one), { class: "tool-like" }),
                iconButton("unlike", S.unlikeTitle(one.title), () => want("unlike", one), { class: "tool-unlike" }),
            ],
            menu: [
                { label: S.likeThis, icon: "like", run: () => want("like", one) },
                { label: S.unlikeThis, icon: "unlike", run: () => want("unlike", one) },
            ],
        });
    };

    let ranked = null; // the order that is on its way, or there
    let found = [];
    const playAll = () => found.length && player.play(found.map((item) => item.track));
    const rank = () => (ranked = ask());

    async function ask() {
        asking.abort();
        const now = (asking = new AbortController());
        drawWishes();
        setQuery({ like: wish.like, unlike: wish.unlike, only: filters.only, spaced: filters.spaced ? 1 : "" });
        place.classList.add("waiting");
        try {
            const question = {
                seeds: [seed, ...wish.like],
                unlike: wish.unlike,
                n: HOW_MANY,
                only: filters.only,
                exclude: [],
                max_per_artist: filters.spaced ? 1 : null,
            };
            const { items } = await api.post("/similar", question, { signal: now.signal });
            if (now.signal.aborted) return;
            found = items;
            const before = tops(list);
            refill(
                list,
                items.map((item, i) => row(item, items, i, now.signal)),
            );
            if (place.firstChild !== list) refill(place, list);
            glide(list, before);
            announce(S.reranked(items.length));
        } catch (error) {
            if (error.name === "AbortError" || signal.aborted) return;
            found = [];
            const clear = () => {
                filters.only = [];
                chips.update();
                void rank();
            };
            if (["nothing-fits", "empty-library"].includes(error.code) && filters.only.length) {
                refill(place, empty(S.nothingPasses, null, button(null, S.clearFilters, clear)));
            } else refill(place, failure(error, rank));
        } finally {
            if (asking === now) place.classList.remove("waiting");
        }
    }

    const named = [...wish.like, ...wish.unlike];
    const ready = named.length
        ? api
              .get("/tracks/batch", { ids: named.join(",") }, { signal })
              .then(({ items }) => items.forEach((one) => known.set(one.id, one)))
              .catch(() => {})
        : Promise.resolve();
    ranked = ready.then(rank);

    return el(
        "section",
        { class: "similar", "aria-labelledby": "similar-title" },
        el(
            "div",
            { class: "section-head" },
            el("h2", { id: "similar-title" }, S.similarSongs),
            button("play", S.playAll, () => void ranked.then(playAll), { class: "small" }),
        ),
        chips.node,
        wishes,
        place,
    );
}

function tops(list) {
    return new Map([...list.children].map((row) => [row.dataset.track, row.getBoundingClientRect().top]));
}

/** Let rows that stay glide to their new places, so that one sees what changed. */
function glide(list, before) {
    if (!before.size || window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const row of list.children) {
        const was = before.get(row.dataset.track);
        const by = was === undefined ? null : was - row.getBoundingClientRect().top;
        if (by === null) row.animate([{ opacity: 0 }, { opacity: 1 }], 300);
        else if (by)
            row.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], {
                duration: 320,
                easing: "cubic-bezier(.2,.7,.2,1)",
            });
    }
}
