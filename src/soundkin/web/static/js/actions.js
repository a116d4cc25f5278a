// What can be done with songs, wherever they are shown.

import * as api from "./api.js";
import { el, icon } from "./dom.js";
import { count } from "./format.js";
import { askText, complain, openDialog, openMenu, toast } from "./overlays.js";
import { pickSong } from "./picker.js";
import { player } from "./player.js";
import { navigate } from "./router.js";
import { S } from "./strings.js";

/** Ask for a playlist, an old or a new one, and put the songs into it. */
export async function addToPlaylist(tracks, { suggested = "" } = {}) {
    const ids = tracks.map((track) => track.id).filter((id) => id > 0);
    if (!ids.length) return toast(S.onlyLibrarySongs, { kind: "error" });
    try {
        const { items } = await api.get("/playlists");
        const chosen = items.length ? await choosePlaylist(items) : null;
        if (chosen === undefined) return;
        if (chosen) return await append(chosen, ids);
        const name = await askText(S.newPlaylist, { label: S.playlistName, value: suggested, button: S.save });
        if (name) await savePlaylist(name, ids);
    } catch (error) {
        complain(error);
    }
}

export async function savePlaylist(name, ids) {
    const made = await api.post("/playlists", { name, tracks: ids });
    toast(S.savedAs(name), { action: { label: S.open, run: () => navigate(`/playlists/${made.id}`) } });
    return made;
}

async function append(playlist, ids) {
    const whole = await api.get(`/playlists/${playlist.id}`);
    const tracks = [...whole.tracks.map((track) => track.id), ...ids];
    await api.put(`/playlists/${playlist.id}`, { tracks, updated: whole.updated });
    toast(S.addedTo(ids.length, playlist.name), {
        action: { label: S.open, run: () => navigate(`/playlists/${playlist.id}`) },
    });
}

/** A playlist of `items`, null for a new one, undefined for none. */
function choosePlaylist(items) {
    return openDialog(S.addToPlaylist, (close) =>
        el(
            "div",
            { class: "choices" },
            el(
                "button",
                { type: "button", class: "choice", autofocus: true, on: { click: () => close(null) } },
                icon("add"),
                el("span", {}, S.newPlaylist),
            ),
            items.map((one) =>
                el(
                    "button",
                    { type: "button", class: "choice", on: { click: () => close(one) } },
                    icon("playlists"),
                    el("span", {}, one.name),
                    el("span", { class: "choice-note" }, count(one.count)),
                ),
            ),
        ),
    );
}

/** Choose another song and show the way to it. */
export async function pathTo(track) {
    const other = await pickSong(S.pathToTitle(track.title), { without: track.id });
    if (other) await navigate(`/path/${track.id}/${other.id}`);
}

export const radioFrom = (track) => navigate(`/radio/${track.id}`);

/** The menu of a song; `more` are items of the list that it stands in. */
export function trackMenu(anchor, track, more = []) {
    const own = track.id > 0;
    const items = [
        { label: S.playNext, icon: "next", run: () => (player.addNext([track]), toast(S.playsNext(track.title))) },
        { label: S.addToQueue, icon: "queue", run: () => (player.add([track]), toast(S.queued(track.title))) },
        own && { label: S.addToPlaylist, icon: "add", run: () => addToPlaylist([track]) },
        null,
        own && { label: S.similarSongs, icon: "similar", run: () => navigate(`/song/${track.id}`) },
        own && { label: S.radioFromHere, icon: "radio", run: () => radioFrom(track) },
        own && { label: S.pathTo, icon: "path", run: () => pathTo(track) },
        more.length ? null : false,
        ...more,
    ].filter((item) => item !== false);
    openMenu(anchor, items, S.moreFor(track.title));
}
