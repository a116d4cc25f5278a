// What lies over the page for a moment: short messages, menus, dialogs.

import { el, icon, iconButton, refill } from "./dom.js";
import { S } from "./strings.js";

let showing = 0;

/** A short message at the foot of the page, with a way back where there is one: `action` is `{label, run}`. */
export function toast(text, { action = null, kind = "info", seconds = action ? 10 : 5 } = {}) {
    const place = document.getElementById("toasts");
    const gone = () => {
        window.clearTimeout(showing);
        place.replaceChildren();
    };
    const box = el(
        "div",
        { class: `toast toast-${kind}` },
        icon(kind === "error" ? "warning" : "check"),
        el("span", {}, text),
    );
    if (action) {
        const run = () => {
            gone();
            action.run();
        };
        box.append(el("button", { type: "button", class: "toast-action", on: { click: run } }, action.label));
    }
    box.append(iconButton("close", S.dismiss, gone));
    window.clearTimeout(showing);
    place.replaceChildren(box);
    const wait = () =>
        (showing = window.setTimeout(() => (box.matches(":hover, :focus-within") ? wait() : gone()), 1000 * seconds));
    wait();
}

export const complain = (error) => error.name !== "AbortError" && toast(error.message, { kind: "error", seconds: 12 });

let closeMenu = () => {};

/** A menu beside a button. `items`: `{label, icon, run}`, or null for a line between. */
export function openMenu(anchor, items, label) {
    const again = anchor.getAttribute("aria-expanded") === "true";
    closeMenu();
    if (again) return;
    const choices = [];
    const list = el("div", { class: "menu", role: "menu", "aria-label": label });
    for (const item of items) {
        if (!item) {
            list.append(el("div", { class: "menu-line", role: "separator" }));
            continue;
        }
        const run = () => {
            closeMenu();
            anchor.focus();
            item.run();
        };
        const choice = el(
            "button",
            { type: "button", role: "menuitem", tabindex: "-1", on: { click: run } },
            icon(item.icon),
            item.label,
        );
        choices.push(choice);
        list.append(choice);
    }
    const controller = new AbortController();
    const { signal } = controller;
    closeMenu = () => {
        controller.abort();
        list.remove();
        anchor.removeAttribute("aria-expanded");
        closeMenu = () => {};
    };
    list.addEventListener("keydown", (event) => {
        const at = choices.indexOf(document.activeElement);
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: choices.length - 1 }[event.key];
        if (to !== undefined) {
            event.preventDefault();
            choices.at(to % choices.length).focus();
        } else if (event.key === "Escape" || event.key === "Tab") {
            if (event.key === "Escape") event.preventDefault();
            closeMenu();
            anchor.focus();
        }
        event.stopPropagation();
    });
    document.addEventListener(
        "pointerdown",
        (event) => !list.contains(event.target) && !anchor.contains(event.target) && closeMenu(),
        { signal, capture: true },
    );
    window.addEventListener("resize", () => closeMenu(), { signal });
    window.addEventListener("scroll", () => closeMenu(), { signal, passive: true });
    anchor.setAttribute("aria-expanded", "true");
    (anchor.closest("dialog, main, header, section") ?? document.body).append(list); // within a landmark
    place(list, anchor);
    choices[0]?.focus({ preventScroll: true });
}

/** Put a box below its anchor, or above where there is no room, within the window. */
export function place(box, anchor) {
    const around = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = box;
    const left = Math.max(8, Math.min(around.left, window.innerWidth - width - 8));
    const below = around.bottom + 6;
    const above = around.top - height - 6;
    box.style.left = `${left}px`;
    box.style.top = `${below + height <= window.innerHeight - 8 || above < 8 ? Math.max(8, Math.min(below, window.innerHeight - height - 8)) : above}px`;
}

/**
 * A dialog. `build(close)` gives its content; `close(value)` ends it. Resolves with that value, or undefined when it
 * is left.
 */
export function openDialog(title, build, { wide = false } = {}) {
    return new Promise((resolve) => {
        let result;
        const box = el("dialog", { class: wide ? "dialog dialog-wide" : "dialog", "aria-labelledby": "dialog-title" });
        const close = (value) => {
            result = value;
            box.close();
        };
        refill(
            box,
            el(
                "div",
                { class: "dialog-head" },
                el("h2", { id: "dialog-title" }, title),
                iconButton("close", S.close, () => close()),
            ),
            build(close),
        );
        box.addEventListener("click", (event) => event.target === box && close());
        box.addEventListener("close", () => {
            box.remove();
            resolve(result);
        });
        document.body.append(box);
        box.showModal();
        box.querySelector("[autofocus]")?.focus();
    });
}

/** Ask for a line of text; undefined when it is left. */
export function askText(title, { label, value = "", button }) {
    return openDialog(title, (close) => {
        const input = el("input", {
            type: "text",
            class: "field",
            name: "text",
            value,
            required: true,
            maxlength: 200,
            autocomplete: "off",
            autofocus: true,
        });
        const submit = (event) => {
            event.preventDefault();
            if (input.value.trim()) close(input.value.trim());
        };
        window.setTimeout(() => input.select());
        return el(
            "form",
            { class: "dialog-form", on: { submit } },
            el("label", { class: "labelled" }, el("span", {}, label), input),
            el("div", { class: "dialog-buttons" }, el("button", { type: "submit", class: "button primary" }, button)),
        );
    });
}
