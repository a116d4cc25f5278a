// Filters as chips: which songs may answer. Written as on the command line: "tag:jazz", "year:1970-1979".

import * as api from "./api.js";
import { el, icon, refill } from "./dom.js";
import { count } from "./format.js";
import { openDialog } from "./overlays.js";
import { S } from "./strings.js";

/** A tag as a filter; one with signs in it stands in quotes. */
export const filterOf = (label) => (/[<>="]/.test(label) ? `tag:"${label.replaceAll('"', "")}"` : `tag:${label}`);

/** A filter in words: "sounds jazz", "1970–1979". */
export function filterText(text) {
    const [field, ...rest] = text.split(":");
    const value = rest.join(":");
    return S.filterNames[field]?.(value) ?? text;
}

/**
 * The chips. `filters` is `{only: [...], spaced: bool}`, and `onchange()` is called when that has changed. Returns
 * `{node, update}`.
 */
export function filterChips(filters, onchange) {
    const node = el("div", { class: "filters", role: "group", "aria-label": S.filters });
    const add = async (choose) => {
        const text = await choose();
        if (!text || filters.only.includes(text)) return;
        const [field] = text.split(":");
        const single = field === "year" || field === "duration";
        filters.only = [...filters.only.filter((one) => !single || !one.startsWith(`${field}:`)), text];
        changed();
    };
    const changed = () => {
        update();
        onchange();
    };
    const opener = (label, choose) =>
        el(
            "button",
            { type: "button", class: "chip chip-add", "aria-haspopup": "dialog", on: { click: () => add(choose) } },
            icon("add"),
            label,
        );
    const sound = opener(S.filterSound, chooseSound);
    const year = opener(S.filterYear, chooseYear);
    const long = opener(S.filterLength, chooseLength);
    const spaced = el(
        "button",
        {
            type: "button",
            class: "chip chip-toggle",
            on: { click: () => ((filters.spaced = !filters.spaced), changed()) },
        },
        icon("check"),
        S.onePerArtist,
    );
    const update = () => {
        spaced.setAttribute("aria-pressed", String(filters.spaced));
        const remove = (text) => {
            filters.only = filters.only.filter((one) => one !== text);
            changed();
            sound.focus();
        };
        refill(
            node,
            filters.only.map((text) =>
                el(
                    "button",
                    {
                        type: "button",
                        class: "chip chip-on",
                        "aria-label": S.noFilter(filterText(text)),
                        on: { click: () => remove(text) },
                    },
                    filterText(text),
                    icon("close"),
                ),
            ),
            sound,
            year,
            long,
            spaced,
        );
    };
    update();
    return { node, update };
}

async function chooseSound() {
    const [tags, genres] = await Promise.all([
        api.get("/tags").catch(() => ({ items: [] })),
        api.get("/genres").catch(() => ({ items: [] })),
    ]);
    return openDialog(
        S.filterSound,
        (close) => {
            const list = el("div", { class: "sound-groups" });
            const input = el("input", {
                type: "search",
                class: "field",
                placeholder: S.findSound,
                "aria-label": S.findSound,
                autocomplete: "off",
                spellcheck: "false",
                autofocus: true,
            });
            const draw = () => {
                const q = input.value.trim().toLowerCase();
                const groups = new Map();
                for (const tag of tags.items) {
                    if (tag.tracks > 0 && tag.label.toLowerCase().includes(q))
                        groups.set(tag.category, [...(groups.get(tag.category) ?? []), tag]);
                }
                const chip = (name, n, text) =>
                    el(
                        "li",
                        {},
                        el(
                            "button",
                            { type: "button", class: "chip", on: { click: () => close(text) } },
                            el("span", {}, name),
                            el("span", { class: "chip-count" }, count(n)),
                        ),
                    );
                const shown = genres.items.filter((genre) => nameOf(genre).toLowerCase().includes(q)).slice(0, 60);
                refill(
                    list,
                    [...groups].map(([category, group]) =>
                        el(
                            "section",
                            { class: `tag-${category}` },
                            el("h3", {}, S.categories[category] ?? category),
                            el(
                                "ul",
                                { class: "chips" },
                                group
                                    .slice(0, q ? 60 : 24)
                                    .map((tag) => chip(tag.label, tag.tracks, filterOf(tag.label))),
                            ),
                        ),
                    ),
                    shown.length > 0 &&
                        el(
                            "section",
                            {},
                            el("h3", {}, S.genresOfFiles),
                            el(
                                "ul",
                                { class: "chips" },
                                shown.map((genre) => chip(nameOf(genre), genre.tracks, `genre:${nameOf(genre)}`)),
                            ),
                        ),
                    !groups.size && !shown.length && el("p", { class: "note" }, S.nothingFound(input.value.trim())),
                );
            };
            input.addEventListener("input", draw);
            draw();
            return el("div", { class: "picker" }, input, list);
        },
        { wide: true },
    );
}

const nameOf = (genre) => genre.genre ?? genre.label ?? genre.name ?? "";

function range(field, { placeholder, pattern }, quick, close) {
    const box = (label) =>
        el("input", {
            type: "text",
            class: "field",
            "aria-label": label,
            placeholder,
            pattern,
            inputmode: field === "year" ? "numeric" : "text",
            autocomplete: "off",
        });
    const [from, to] = [box(S.from), box(S.to)];
    const submit = (event) => {
        event.preventDefault();
        if (from.value.trim() || to.value.trim()) close(`${field}:${from.value.trim()}-${to.value.trim()}`);
    };
    return el(
        "div",
        { class: "picker" },
        el(
            "ul",
            { class: "chips" },
            quick.map(([label, value]) =>
                el(
                    "li",
                    {},
                    el(
                        "button",
                        { type: "button", class: "chip", on: { click: () => close(`${field}:${value}`) } },
                        label,
                    ),
                ),
            ),
        ),
        el(
            "form",
            { class: "range-form", on: { submit } },
            el("label", { class: "labelled" }, el("span", {}, S.from), from),
            el("label", { class: "labelled" }, el("span", {}, S.to), to),
            el("button", { type: "submit", class: "button primary" }, S.apply),
        ),
    );
}

function chooseYear() {
    const decades = Array.from({ length: 8 }, (_, i) => 10 * Math.floor(new Date().getFullYear() / 10) - 10 * i);
    return openDialog(S.filterYear, (close) =>
        range(
            "year",
            { placeholder: S.yearPlaceholder, pattern: "\\d{1,4}" },
            decades.map((year) => [S.decade(year), `${year}-${year + 9}`]),
            close,
        ),
    );
}

const chooseLength = () =>
    openDialog(S.filterLength, (close) =>
        range("duration", { placeholder: S.lengthPlaceholder, pattern: "\\d+(:\\d{1,2}){0,2}" }, S.lengths, close),
    );
