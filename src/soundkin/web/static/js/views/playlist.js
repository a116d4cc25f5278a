// A playlist: play, order by dragging or with the keyboard, rename, delete, export.

import * as api from "../api.js";
import { announce, button, dialogButton, el, icon, iconButton, refill } from "../dom.js";
import { hours } from "../format.js";
import { askText, complain, toast } from "../overlays.js";
import { arrowKeys, empty, listHead, trackRow } from "../parts.js";
import { player } from "../player.js";
import { navigate } from "../router.js";
import { S } from "../strings.js";

const FORMATS = ["m3u8", "xspf", "jspf"];

export async function render({ root, params, signal, title }) {
    let list = await api.get(`/playlists/${encodeURIComponent(params.id)}`, {}, { signal });
    const heading = el("h1", {});
    const note = el("p", { class: "note list-note" });
    const rows = el("ol", { class: "rows ordered" });
    const play = button("play", S.playAll, () => player.play(list.tracks), { class: "primary" });
    const links = FORMATS.map((format) =>
        el("a", { class: "button small", href: api.exportUrl(list.id, format), download: true }, format.toUpperCase()),
    );
    const exports = el(
        "div",
        { class: "exports", role: "group", "aria-label": S.exportAs },
        el("span", { class: "note" }, icon("download"), S.exportAs),
        links,
    );
    const place = el("div", {});

    let pending = 0; // changes that are not stored yet
    let last = Promise.resolve();

    /** Store a change, after those before it; what another window changed meanwhile is fetched instead. */
    const store = (change) => {
        pending += 1;
        last = last.then(async () => {
            try {
                const stored = await api.put(`/playlists/${list.id}`, { ...change, updated: list.updated });
                list = pending > 1 ? { ...list, updated: stored.updated } : stored;
            } catch (error) {
                if (error.status !== 409) complain(error);
                else toast(S.changedElsewhere, { kind: "error" });
                list = await api.get(`/playlists/${list.id}`).catch(() => list);
                if (!signal.aborted) draw();
            }
            pending -= 1;
        });
    };
    const change = (tracks, focus) => {
        const duration = tracks.reduce((sum, track) => sum + track.duration, 0);
        list = { ...list, tracks, count: tracks.length, duration };
        draw();
        if (focus)
            rows.children[Math.min(focus.at, tracks.length - 1)]?.querySelector(`[data-act=${focus.act}]`)?.focus();
        store({ tracks: tracks.map((track) => track.id) });
    };

    const move = (from, to, act) => {
        if (to < 0 || to >= list.tracks.length || from === to) return;
        const tracks = [...list.tracks];
        const [track] = tracks.splice(from, 1);
        tracks.splice(to, 0, track);
        change(tracks, act && { at: to, act });
        announce(S.moved(track.title, to + 1, tracks.length));
    };
    const remove = (i) => {
        const before = list.tracks;
        const tracks = before.filter((_, at) => at !== i);
        change(tracks, { at: i, act: "remove" });
        toast(S.removed(before[i].title), { action: { label: S.undo, run: () => change(before) } });
    };

    let drawn = new AbortController();
    signal.addEventListener("abort", () => drawn.abort());
    const draw = () => {
        drawn.abort(); // rows that are gone need not hear of the player any more
        drawn = new AbortController();
        title(list.name);
        heading.textContent = list.name;
        note.textContent = S.songsAndTime(list.count, hours(list.duration));
        play.disabled = !list.tracks.length;
        exports.hidden = !list.tracks.length;
        refill(rows, list.tracks.map(row));
        const find = () => el("a", { class: "button primary", href: "/" }, icon("search"), S.findSongs);
        refill(place, list.tracks.length ? rows : empty(S.playlistIsEmpty, S.playlistIsEmptyText, find()));
    };
    const row = (track, i) => {
        const grip = el("span", { class: "grip", title: S.dragTitle, "aria-hidden": "true" }, icon("grip"));
        const act = (name, picture, label, run) => iconButton(picture, label, run, { "data-act": name });
        const node = trackRow(track, {
            signal: drawn.signal,
            play: () => player.play(list.tracks, i),
            lead: [grip, el("span", { class: "row-number" }, i + 1)],
            tools: [
                act("up", "up", S.moveUp(track.title), () => move(i, i - 1, "up")),
                act("down", "down", S.moveDown(track.title), () => move(i, i + 1, "down")),
                act("remove", "close", S.removeTitle(track.title), () => remove(i)),
            ],
            menu: [{ label: S.removeTitle(track.title), icon: "close", run: () => remove(i) }],
        });
        if (i === 0) node.querySelector('[data-act="up"]').setAttribute("aria-disabled", "true");
        if (i === list.tracks.length - 1) node.querySelector('[data-act="down"]').setAttribute("aria-disabled", "true");
        return node;
    };
    dragToOrder(rows, { move, signal });
    arrowKeys(rows, { signal });

    const rename = async () => {
        const name = await askText(S.renamePlaylist, { label: S.playlistName, value: list.name, button: S.save });
        if (!name || name === list.name) return;
        list = { ...list, name };
        draw();
        store({ name });
    };
    const discard = async () => {
        try {
            await api.del(`/playlists/${list.id}`);
            await navigate("/playlists");
            const back = async () => {
                const made = await api.post("/playlists", {
                    name: list.name,
                    tracks: list.tracks.map((track) => track.id),
                });
                await navigate(`/playlists/${made.id}`);
            };
            toast(S.deleted(list.name), { action: { label: S.undo, run: () => back().catch(complain) } });
        } catch (error) {
            complain(error);
        }
    };
    refill(
        root,
        listHead(
            el("a", { class: "back", href: "/playlists" }, icon("back"), S.playlists),
            heading,
            note,
            play,
            dialogButton("edit", S.rename, rename),
            button("trash", S.remove, discard),
            exports,
        ),
        place,
    );
    draw();
}

/** Let rows be dragged by their grip, with mouse, pen or finger. */
function dragToOrder(rows, { move, signal }) {
    rows.addEventListener(
        "pointerdown",
        (event) => {
            const row = event.target.closest(".grip")?.closest(".row");
            if (!row || event.button !== 0) return;
            event.preventDefault();
            const from = [...rows.children].indexOf(row);
            const box = row.getBoundingClientRect();
            const start = event.clientY + window.scrollY;
            let to = from;
            row.classList.add("dragged");
            row.setPointerCapture(event.pointerId);
            const step = (now) => {
                const by = now.clientY + window.scrollY - start;
                to = Math.max(0, Math.min(rows.children.length - 1, from + Math.round(by / box.height)));
                row.style.transform = `translateY(${by}px)`;
                [...rows.children].forEach((other, i) => {
                    if (other === row) return;
                    const shift = i > from && i <= to ? -1 : i < from && i >= to ? 1 : 0;
                    other.style.transform = shift ? `translateY(${shift * box.height}px)` : "";
                });
                if (now.clientY < 90) window.scrollBy(0, -12);
                if (now.clientY > window.innerHeight - 180) window.scrollBy(0, 12);
            };
            const end = (now) => {
                row.removeEventListener("pointermove", step);
                row.removeEventListener("pointerup", end);
                row.removeEventListener("pointercancel", end);
                row.classList.remove("dragged");
                for (const other of rows.children) other.style.transform = "";
                if (now.type === "pointerup") move(from, to);
            };
            row.addEventListener("pointermove", step);
            row.addEventListener("pointerup", end);
            row.addEventListener("pointercancel", end);
        },
        { signal },
    );
}
