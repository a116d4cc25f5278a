// Elements built safely: text only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props`: `class`, `on` (listeners by name), `data` (data-* by name), `props` (properties set as they
 * are), and else attributes; false, null and undefined leave one out. Children: nodes, strings, numbers, arrays.
 */
export function el(tag, props = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
        if (value === false || value === null || value === undefined) continue;
        if (name === "on")
            for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
        else if (name === "data") Object.assign(node.dataset, value);
        else if (name === "props") Object.assign(node, value);
        else node.setAttribute(name, value === true ? "" : String(value));
    }
    fill(node, children);
    return node;
}

/** Append children to a node: nodes, strings, numbers, arrays; null, undefined and false are left out. */
export function fill(node, ...children) {
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false) continue;
        node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return node;
}

/** Put these children in the place of all that a node holds. */
export function refill(node, ...children) {
    node.replaceChildren();
    return fill(node, ...children);
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    node.append(...children);
    return node;
}

const LINES = {
    search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 21 21",
    playlists: "M4 6h11M4 11h11M4 16h6M17.5 18.5V8l3.5 1.5M15 18.5a2.5 2.2 0 1 0 5 0 2.5 2.2 0 1 0-5 0z",
    map: "M6 7.5h.01M10 4.5h.01M9 11h.01M5 14h.01M13 8h.01M16.5 13h.01M19.5 16h.01M15 17h.01M19 11h.01M18.5 20h.01M12.5 14h.01",
    library: "M4 4v16M9 4v16M13.2 5.2l4.6 14.6M4 4h5M4 20h5",
    add: "M12 5v14M5 12h14",
    minus: "M5 12h14",
    close: "M6 6l12 12M18 6 6 18",
    up: "M6 15l6-6 6 6",
    down: "M6 9l6 6 6-6",
    back: "M15 6l-6 6 6 6",
    queue: "M4 6h16M4 11h16M4 16h9M16 16h5M18.5 13.5v5",
    volume: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
    mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 10l5 5M21 10l-5 5",
    radio: "M12 12h.01M8.5 15.5a5 5 0 0 1 0-7M15.5 8.5a5 5 0 0 1 0 7M5.7 18.3a9 9 0 0 1 0-12.6M18.3 5.7a9 9 0 0 1 0 12.6",
    path: "M6 19a2 2 0 1 0 0-.01M18 5a2 2 0 1 0 0-.01M8 19h7a3.5 3.5 0 0 0 0-7H9a3.5 3.5 0 0 1 0-7h7",
    like: "M7.5 11v9H4v-9zM7.5 11l4-7.5c1.6 0 2.6 1.1 2.3 2.7L13.2 9.5H18a2 2 0 0 1 2 2.4l-1.2 6.3a2.2 2.2 0 0 1-2.2 1.8H7.5",
    unlike: "M16.5 13V4H20v9zM16.5 13l-4 7.5c-1.6 0-2.6-1.1-2.3-2.7l.6-3.3H6a2 2 0 0 1-2-2.4l1.2-6.3A2.2 2.2 0 0 1 7.4 4h9.1",
    trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5",
    edit: "M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5zM13.5 7l3.5 3.5",
    download: "M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14",
    upload: "M12 16V5M7.5 9.5 12 5l4.5 4.5M5 20h14",
    folder: "M3.5 6.5h6l2 2.5h9v10h-17z",
    refresh: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.2M20 4.5v4.7h-4.7",
    theme: "M12 3.5v17M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
    sun: "M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
    moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
    keyboard: "M3 7h18v10H3zM7 10.5h.01M10.3 10.5h.01M13.7 10.5h.01M17 10.5h.01M8 14h8",
    filter: "M4 6h16M7 12h10M10 18h4",
    check: "M5 12.5l4.5 4.5L19 7",
    warning: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2h.01",
    similar: "M9 17.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM15 17.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z",
    logout: "M10 4H5v16h5M14 8l4.5 4-4.5 4M18 12H9",
};

const SHAPES = {
    play: "M7 4.3v15.4a.9.9 0 0 0 1.4.7l12-7.7a.9.9 0 0 0 0-1.5l-12-7.6A.9.9 0 0 0 7 4.3z",
    pause: "M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z",
    next: "M5 5.2v13.6a.8.8 0 0 0 1.3.6l8.7-6.6v5.7h3v-13h-3v5.7L6.3 4.6A.8.8 0 0 0 5 5.2z",
    previous: "M19 5.2v13.6a.8.8 0 0 1-1.3.6L9 12.8v5.7H6v-13h3v5.7l8.7-6.6a.8.8 0 0 1 1.3.6z",
    more: "M6 10.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM12 10.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM18 10.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z",
    grip: "M9 5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM15 5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM9 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM15 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM9 16a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM15 16a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
};

/** An icon, hidden from screen readers: whatever holds it has a name of its own. */
export function icon(name) {
    const shape = SHAPES[name];
    return svg(
        "svg",
        { viewBox: "0 0 24 24", class: shape ? "icon icon-shape" : "icon", "aria-hidden": "true", focusable: "false" },
        svg("path", { d: shape || LINES[name] }),
    );
}

/** A round button that shows an icon and is called `label`. */
export function iconButton(name, label, onclick, { class: more = "", ...props } = {}) {
    const told = { type: "button", class: `icon-button ${more}`.trim(), "aria-label": label, title: label };
    return el("button", { ...told, on: { click: onclick }, ...props }, icon(name));
}

/** A button with words, and an icon before them unless `name` is null. `class`: `primary`, `small`. */
export function button(name, text, onclick, { class: more = "", ...props } = {}) {
    const told = { type: "button", class: `button ${more}`.trim(), on: { click: onclick } };
    return el("button", { ...told, ...props }, name && icon(name), el("span", {}, text));
}

/** A button that opens a dialog. */
export const dialogButton = (name, text, onclick) => button(name, text, onclick, { "aria-haspopup": "dialog" });

let polite = null;

/** Say something to screen readers, politely. */
export function announce(text) {
    polite ??= document.getElementById("announcer");
    polite.textContent = "";
    window.setTimeout(() => (polite.textContent = text), 30);
}

/** Call `work` once it has not been asked for during `wait` milliseconds; `.now()` does not wait, `.cancel()` forgets. */
export function debounced(work, wait) {
    let timer = 0;
    const later = (...values) => {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => work(...values), wait);
    };
    later.cancel = () => window.clearTimeout(timer);
    later.now = (...values) => {
        window.clearTimeout(timer);
        work(...values);
    };
    return later;
}

/** What the browser remembers under `key`, or `otherwise`: it may be switched off, full, or written by a fool. */
export function remembered(key, otherwise) {
    try {
        return JSON.parse(localStorage.getItem(`soundkin.${key}`)) ?? otherwise;
    } catch {
        return otherwise;
    }
}

export function remember(key, value) {
    try {
        localStorage.setItem(`soundkin.${key}`, JSON.stringify(value));
    } catch {
        // private windows have no storage: nothing is remembered then
    }
}
