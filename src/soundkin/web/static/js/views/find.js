// Find: search as you type, sounds to pick, songs to start from.

import * as api from "../api.js";
import { fileButton } from "../drop.js";
import { announce, debounced, el, icon, refill } from "../dom.js";
import { filterOf } from "../filters.js";
import { count, performer } from "../format.js";
import { arrowKeys, empty, failure, growing, skeleton, trackCard, trackList } from "../parts.js";
import { player } from "../player.js";
import { setQuery } from "../router.js";
import { S } from "../strings.js";

const PER_CATEGORY = 4;
const TAGS = 14;
const CARDS = 24;
const SOON = 200; // ms that songs wait for the sounds above them
const LOOKED_AT = 120; // newest songs among which the cards are chosen

export async function render({ root, query, signal, title, moveFocus }) {
    title("");
    const input = el("input", {
        type: "search",
        id: "search",
        class: "search-input",
        placeholder: S.findPlaceholder,
        "aria-label": S.findLabel,
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        enterkeyhint: "search",
        value: query.get("q") ?? "",
    });
    const found = el("div", { class: "found" });
    refill(
        root,
        el(
            "section",
            { class: "find-head" },
            el("h1", {}, S.findTitle),
            el("p", { class: "lead" }, S.findLead),
            el(
                "div",
                { class: "search-line" },
                el(
                    "div",
                    { class: "search-box", role: "search" },
                    icon("search"),
                    input,
                    el("kbd", { "aria-hidden": "true" }, "/"),
                ),
                fileButton(S.chooseFile),
            ),
        ),
        found,
    );
    const view = { found, input, signal };
    let asking = new AbortController();
    let answer = Promise.resolve(); // to what stands in the field, once it is asked for
    let asked = input.value.trim();
    const update = () => {
        asking.abort();
        asking = new AbortController();
        const q = input.value.trim();
        setQuery({ q });
        asked = q;
        answer = q ? search(view, q, asking.signal) : start(view, asking.signal);
        answer = answer.catch(
            (error) => error.name !== "AbortError" && !signal.aborted && refill(found, failure(error, update)),
        );
    };
    const later = debounced(update, 90);
    input.addEventListener("input", () => (input.value.trim() ? later() : later.now()));
    const openFirst = async () => {
        later.cancel();
        const q = input.value.trim();
        if (asked !== q) update();
        await answer;
        if (!signal.aborted && asked === q && input.value.trim() === q) found.querySelector(".row-title")?.click();
    };
    input.addEventListener("keydown", (event) => {
        const links = found.querySelectorAll(".row-title, .card-title");
        if (event.key === "ArrowDown" && links.length) links[0].focus();
        else if (event.key === "Enter" && input.value.trim()) void openFirst();
        else if (event.key === "Escape" && input.value) {
            input.value = "";
            later.now();
        } else return;
        event.preventDefault();
    });
    arrowKeys(found, { before: input, signal });
    signal.addEventListener("abort", () => {
        asking.abort();
        later.cancel();
    });
    if (moveFocus && window.matchMedia("(hover: hover)").matches && !query.get("tag"))
        input.focus({ preventScroll: true });

    const tag = query.get("tag");
    if (tag) await browse(view, { heading: S.soundsLike(tag), only: [filterOf(tag)], none: S.nothingWithTag(tag) });
    else if (query.has("all")) await browse(view, { heading: S.allSongs, order: "artist", none: "" });
    else if (input.value.trim()) await search(view, input.value.trim(), asking.signal);
    else await start(view, asking.signal);
}

const tagUrl = (label) => `/?tag=${encodeURIComponent(label)}`;

const tagChips = (tags) =>
    el(
        "ul",
        { class: "chips", "aria-label": S.sounds },
        tags.map((tag) =>
            el(
                "li",
                {},
                el(
                    "a",
                    {
                        class: `chip tag-${tag.category}`,
                        href: tagUrl(tag.label),
                        title: S.tagTracks(tag.label, tag.tracks),
                    },
                    el("span", {}, tag.label),
                    el("span", { class: "chip-count", "aria-hidden": "true" }, count(tag.tracks)),
                ),
            ),
        ),
    );

/** What a stranger sees: songs to click, sounds to pick. The songs do not wait for the sounds, whose place is kept. */
async function start({ found }, asked) {
    if (!found.childElementCount) refill(found, el("div", { class: "cards-wait" }, skeleton(6)));
    const sounds = foremostTags(asked);
    const recent = await api.get("/tracks", { order: "added", limit: LOOKED_AT }, { signal: asked }).catch((error) => {
        if (error.code === "empty-library") return { items: [] };
        throw error;
    });
    if (!recent.items.length) {
        const add = el("a", { class: "button primary", href: "/library" }, icon("folder"), S.addMusic);
        refill(found, empty(S.emptyTitle, S.emptyText, add));
        return;
    }
    const quick = await Promise.race([sounds, new Promise((resolve) => window.setTimeout(resolve, SOON))]);
    if (asked.aborted) return;
    const shown = varied(recent.items);
    const tags = soundsPlace();
    const cards = el("ul", { class: "cards" });
    shown.forEach((track, i) => cards.append(trackCard(track, { play: () => player.play(shown, i), signal: asked })));
    const all = el("a", { href: "/?all" }, S.showAllSongs);
    refill(
        found,
        quick?.length !== 0 && tags,
        el("section", {}, el("div", { class: "section-head" }, el("h2", {}, S.recentlyAdded), all), cards),
    );
    showSounds(tags, await sounds);
}

const foremostTags = (asked) =>
    api.get("/tags", {}, { signal: asked }).then(
        ({ items }) => foremost(items),
        () => [], // a model without tags
    );

/** The place of the sounds to pick; `showSounds` fills it. */
const soundsPlace = () =>
    el("section", { class: "find-tags" }, el("h2", {}, S.bySound), el("div", { class: "chips-wait" }));

function showSounds(place, tags) {
    const none = () => el("p", { class: "note chips-wait" }, S.noSounds); // its place is taken: nothing moves
    place.lastChild.replaceWith(tags.length ? tagChips(tags) : none());
}

/** A few of the newest songs, at first one of each album, so that they differ. */
function varied(tracks) {
    const albums = new Set();
    const fresh = tracks.filter((track) => {
        const album = `${performer(track)}/${track.album}`;
        return track.has_file && !albums.has(album) && albums.add(album);
    });
    return [...fresh, ...tracks.filter((track) => !fresh.includes(track))].slice(0, CARDS);
}

/** The commonest few tags of each category, so that moods and instruments are not lost behind genres. */
function foremost(tags) {
    const taken = {};
    const common = tags.filter((tag) => tag.tracks > 0).sort((a, b) => b.tracks - a.tracks);
    return common
        .filter((tag) => (taken[tag.category] = (taken[tag.category] ?? 0) + 1) <= PER_CATEGORY)
        .slice(0, TAGS);
}

/** The rows of one page; each plays all that is shown, from there on. */
const rows = (items, all, { signal, label }) =>
    trackList(items, { signal, label, rowOf: (_, i) => ({ play: () => player.play(all, all.indexOf(items[i])) }) });

const head = (heading, page) =>
    el(
        "div",
        { class: "section-head" },
        el("h2", {}, heading),
        el("span", { class: "note" }, page.total !== null && S.results(count(page.total))),
    );

async function search({ found }, q, asked) {
    const place = el("div", {});
    const page = await growing(place, {
        signal: asked,
        fetchPage: (offset) => api.get("/search", { q, offset, limit: 50 }, { signal: asked }),
        show: (items, all) => rows(items, all, { signal: asked, label: S.songs }),
    });
    if (asked.aborted) return;
    const tags = (page.tags ?? []).filter((tag) => tag.tracks > 0);
    refill(
        found,
        tags.length > 0 &&
            el("section", { class: "find-tags few" }, el("h2", {}, S.sounds), tagChips(tags.slice(0, 12))),
        page.items.length > 0 && el("section", {}, head(S.songs, page), place),
    );
    announce(S.results(page.total ?? page.items.length));
    if (page.items.length || tags.length) return;
    const sounds = soundsPlace();
    refill(found, empty(S.nothingFound(q), S.nothingFoundHint), sounds);
    const picked = await foremostTags(asked);
    if (picked.length) showSounds(sounds, picked);
    else sounds.remove();
}

/** A list of the library's songs, all of them or those with a tag. */
async function browse({ found, signal }, { heading, only = [], order = "added", none }) {
    refill(found, skeleton(12));
    const place = el("div", {});
    const page = await growing(place, {
        signal,
        fetchPage: (offset) => api.get("/tracks", { order, only, offset, limit: 100 }, { signal }),
        show: (items, all) => rows(items, all, { signal, label: heading }),
    });
    refill(
        found,
        el(
            "section",
            {},
            el("a", { class: "back", href: "/" }, icon("back"), S.clearTag),
            head(heading, page),
            page.items.length ? place : empty(none),
        ),
    );
    announce(S.results(page.total ?? page.items.length));
}
