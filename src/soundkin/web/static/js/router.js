// Views and their addresses: real URLs, without loading the page again.

import { announce } from "./dom.js";
import { S } from "./strings.js";

const ROUTES = [
    ["/", "find", () => import("./views/find.js")],
    ["/song/:id", "find", () => import("./views/song.js")],
    ["/ask/:token", "find", () => import("./views/song.js")],
    ["/path/:from/:to", "playlists", () => import("./views/journey.js")],
    ["/radio/:seed", "playlists", () => import("./views/journey.js")],
    ["/playlists", "playlists", () => import("./views/playlists.js")],
    ["/playlists/:id", "playlists", () => import("./views/playlist.js")],
    ["/map", "map", () => import("./views/map.js")],
    ["/library", "library", () => import("./views/library.js")],
    ["/login", "", () => import("./views/login.js")],
].map(([pattern, section, load]) => ({
    names: [...pattern.matchAll(/:(\w+)/g)].map((match) => match[1]),
    expression: new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}/?$`),
    section,
    load,
}));

export const routed = new EventTarget();

let leaving = new AbortController();
let first = true;

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

function match(path) {
    for (const route of ROUTES) {
        const found = route.expression.exec(path);
        if (found)
            return { route, params: Object.fromEntries(route.names.map((name, i) => [name, decoded(found[i + 1])])) };
    }
    return null;
}

/** Go to an address of the page. */
export function navigate(href, { replace = false } = {}) {
    history.replaceState({ ...history.state, scroll: window.scrollY }, "");
    history[replace ? "replaceState" : "pushState"]({}, "", href);
    return show();
}

/** Say in the address what a view shows now, without leaving it. */
export function setQuery(query) {
    const text = new URLSearchParams(
        Object.entries(query).flatMap(([name, value]) =>
            [value]
                .flat()
                .filter((one) => one !== "" && one !== null && one !== undefined)
                .map((one) => [name, one]),
        ),
    ).toString();
    history.replaceState(history.state, "", location.pathname + (text && `?${text}`));
}

/**
 * Show the view of the address. A view's module has `render(context)`: `root` to fill, `params`, `query`, a `signal`
 * that says when it is left, and `title(text)`, which names the page.
 */
export async function show({ scroll = 0 } = {}) {
    leaving.abort();
    const controller = (leaving = new AbortController());
    const main = document.getElementById("main");
    const found = match(location.pathname);
    const module = await (found ? found.route.load() : import("./views/lost.js"));
    if (controller.signal.aborted) return;
    const root = document.createElement("div");
    root.className = "view";
    main.replaceChildren(root);
    const title = (text) => {
        if (!controller.signal.aborted) document.title = text ? `${text} · ${S.name}` : S.name;
    };
    routed.dispatchEvent(new CustomEvent("view", { detail: { section: found?.route.section ?? "" } }));
    const query = new URLSearchParams(location.search);
    const moveFocus = !first;
    first = false;
    try {
        await module.render({ root, params: found?.params ?? {}, query, signal: controller.signal, title, moveFocus });
    } catch (error) {
        if (error.name === "AbortError" || controller.signal.aborted) return;
        const { failure } = await import("./parts.js");
        root.replaceChildren(failure(error, () => show()));
    }
    if (controller.signal.aborted) return;
    window.scrollTo(0, scroll);
    if (moveFocus && !root.contains(document.activeElement)) focusHeading(root);
}

function focusHeading(root) {
    const heading = root.querySelector("h1");
    if (heading) {
        heading.tabIndex = -1;
        heading.focus({ preventScroll: true });
    }
    announce(document.title);
}

/** Let links within the page, and the browser's back and forward, lead to views. */
export function start() {
    history.scrollRestoration = "manual";
    document.addEventListener("click", (event) => {
        const link = event.target.closest?.("a[href]");
        const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
        if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
        if (link.origin !== location.origin || !match(link.pathname)) return;
        if (link.hash && link.pathname === location.pathname) return;
        event.preventDefault();
        void navigate(link.pathname + link.search);
    });
    window.addEventListener("popstate", (event) => void show({ scroll: event.state?.scroll ?? 0 }));
    return show();
}
