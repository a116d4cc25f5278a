// What stands around every view: name, navigation, the switches at its foot.

import * as api from "./api.js";
import { el, icon, iconButton, refill, svg } from "./dom.js";
import { count } from "./format.js";
import { showKeys } from "./keys.js";
import { complain } from "./overlays.js";
import { routed } from "./router.js";
import { S } from "./strings.js";
import { isDark, themeChanged, toggleTheme } from "./theme.js";

const SECTIONS = [
    ["find", "/", "search"],
    ["playlists", "/playlists", "playlists"],
    ["map", "/map", "map"],
    ["library", "/library", "library"],
];

/** What the service last said of itself; `statusChanged` tells when that is new. */
export let status = null;
export const statusChanged = new EventTarget();

export async function refreshStatus() {
    status = await api.get("/status");
    statusChanged.dispatchEvent(new Event("change"));
    return status;
}

function mark() {
    const picture = svg("svg", { viewBox: "0 0 32 32", class: "mark", "aria-hidden": "true", focusable: "false" });
    for (const cx of [12.2, 19.8]) picture.append(svg("circle", { cx, cy: 16, r: 7.5 }));
    picture.append(svg("path", { d: "M16 10.5v11" }));
    return picture;
}

export function buildShell() {
    const skip = el("a", { class: "skip", href: "#main" }, S.skip);
    skip.addEventListener("click", (event) => {
        event.preventDefault();
        document.getElementById("main").focus();
    });
    document.getElementById("skip").replaceWith(skip);

    const links = new Map();
    for (const [section, href, picture] of SECTIONS) {
        links.set(section, el("a", { href, class: "nav-link" }, icon(picture), el("span", {}, S.sections[section])));
    }
    const theme = iconButton("moon", S.darkTheme, toggleTheme);
    const updateTheme = () => {
        refill(theme, icon(isDark() ? "sun" : "moon"));
        theme.title = isDark() ? S.lightTheme : S.darkTheme;
        theme.setAttribute("aria-label", theme.title);
    };
    updateTheme();
    themeChanged.addEventListener("change", updateTheme);

    const note = el("p", { class: "side-note" });
    const logout = iconButton(
        "logout",
        S.logOut,
        () =>
            api
                .post("/logout")
                .then(() => location.assign("/login"))
                .catch(complain),
        { hidden: true },
    );
    refill(
        document.getElementById("side"),
        el("a", { href: "/", class: "brand", "aria-label": S.home }, mark(), el("span", {}, S.name)),
        el(
            "nav",
            { "aria-label": S.navigation },
            el(
                "ul",
                { class: "nav" },
                [...links.values()].map((link) => el("li", {}, link)),
            ),
        ),
        el(
            "div",
            { class: "side-foot" },
            note,
            el(
                "div",
                { class: "side-tools" },
                theme,
                iconButton("keyboard", S.keyboard, showKeys, { class: "wide-only" }),
                logout,
            ),
        ),
    );
    statusChanged.addEventListener("change", () => {
        note.textContent = S.songsHere(count(status.tracks), status.tracks);
        logout.hidden = !status.password;
    });
    routed.addEventListener("view", (event) => {
        for (const [section, link] of links) {
            if (section === event.detail.section) link.setAttribute("aria-current", "page");
            else link.removeAttribute("aria-current");
        }
        refreshStatus().catch(() => {}); // each view says itself what went wrong
    });
}
