// The tags of a song as labelled bars, by category.

import { el, refill } from "./dom.js";
import { percent } from "./format.js";
import { S } from "./strings.js";

const ORDER = ["genre", "mood", "era", "instrument", "voice"];
const FEW = 4;
const FAINT = 0.05;
const MANY = 12;

/** Fill `place` with the tags, most probable first within each category. */
export function showTags(place, tags) {
    if (!tags.length) {
        refill(place, el("p", { class: "note" }, S.noTags));
        return;
    }
    let all = false;
    const groups = new Map(ORDER.map((category) => [category, []]));
    for (const tag of tags) groups.set(tag.category, [...(groups.get(tag.category) ?? []), tag]);
    const draw = () => {
        const shown = [...groups]
            .filter(([, group]) => group.length)
            .map(([category, group]) => {
                const ranked = [...group].sort((a, b) => b.probability - a.probability);
                return [
                    category,
                    ranked.filter((tag, i) => (all ? i < MANY : i < FEW && (tag.probability >= FAINT || i === 0))),
                ];
            });
        const more = el(
            "button",
            { type: "button", class: "button small", "aria-expanded": String(all) },
            all ? S.showFewerTags : S.showAllTags,
        );
        more.addEventListener("click", () => {
            all = !all;
            draw();
            place.querySelector(".tags-more button").focus();
        });
        const hidden = shown.some(([category, group]) => group.length < Math.min(MANY, groups.get(category).length));
        refill(
            place,
            shown.map(([category, group]) =>
                el(
                    "div",
                    { class: `tags tag-${category}` },
                    el("h3", {}, S.categories[category] ?? category),
                    el("ul", {}, group.map(bar)),
                ),
            ),
            (hidden || all) && el("p", { class: "tags-more" }, more),
        );
    };
    draw();
}

function bar(tag) {
    const level = el("span", { class: "bar" });
    level.style.setProperty("--share", String(Math.max(0.01, Math.min(1, tag.probability))));
    return el(
        "li",
        {},
        el("a", { href: `/?tag=${encodeURIComponent(tag.label)}`, title: S.searchTag(tag.label) }, tag.label),
        level,
        el("span", { class: "bar-value" }, percent(tag.probability)),
    );
}
