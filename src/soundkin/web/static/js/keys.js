// The keyboard, wherever one is. Keys of one character can be switched off, for those whose voice or aids type them.

import { el, remember, remembered } from "./dom.js";
import { openDialog } from "./overlays.js";
import { player } from "./player.js";
import { navigate } from "./router.js";
import { S } from "./strings.js";

const KEYS = {
    " ": () => player.toggle(),
    ArrowLeft: () => player.seek(player.position - 5),
    ArrowRight: () => player.seek(player.position + 5),
    n: () => player.next(),
    p: () => player.previous(),
    m: () => player.toggleMute(),
    "?": () => showKeys(),
};

let on = remembered("keys", true) !== false;

async function focusSearch() {
    if (location.pathname !== "/") await navigate("/");
    document.getElementById("search")?.focus();
    document.getElementById("search")?.select();
}

export function takeKeys() {
    document.addEventListener("keydown", (event) => {
        if (!on || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
        if (document.querySelector("dialog[open], .menu")) return;
        const { target, key } = event;
        if (target.closest("input, textarea, select, [role=slider], [contenteditable]")) return;
        if (key === " " && target.closest("button, a, summary, [role=button]")) return;
        const work = key === "/" ? focusSearch : KEYS[key];
        if (!work || (key !== "/" && key !== "?" && !player.track)) return;
        event.preventDefault();
        void work();
    });
}

/** All the keys there are, and the switch. */
export function showKeys() {
    const row = ([keys, what]) =>
        el(
            "div",
            { class: "keys-row" },
            el(
                "dt",
                {},
                keys.map((key) => el("kbd", {}, key)),
            ),
            el("dd", {}, what),
        );
    const box = el("input", { type: "checkbox", class: "switch", props: { checked: on } });
    box.addEventListener("change", () => {
        on = box.checked;
        remember("keys", on);
    });
    void openDialog(S.keyboard, () =>
        el(
            "div",
            {},
            el("dl", { class: "keys" }, S.keys.map(row)),
            el("label", { class: "switch-label" }, box, el("span", {}, S.singleKeys)),
        ),
    );
}
