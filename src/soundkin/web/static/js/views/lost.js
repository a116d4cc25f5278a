// An address that leads nowhere.

import { el, refill } from "../dom.js";
import { S } from "../strings.js";

export function render({ root, title }) {
    title(S.lost);
    refill(
        root,
        el("h1", {}, S.lost),
        el("p", { class: "lead" }, S.lostText),
        el("a", { class: "button primary", href: "/" }, S.toStart),
    );
}
