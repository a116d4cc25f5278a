// Light and dark: the system's choice, until one is chosen here.

import { remember } from "./dom.js";

export const themeChanged = new EventTarget();
const system = window.matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

export const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

export function toggleTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", root.dataset.theme);
    themeChanged.dispatchEvent(new Event("change"));
}

system.addEventListener("change", () => themeChanged.dispatchEvent(new Event("change")));

let probe = null;

/** A colour of the design, such as "accent", as a canvas understands it. */
export function colour(name) {
    probe ??= document.getElementById("colour-probe");
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
}
