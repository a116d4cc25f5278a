// All playlists, and the ways to a new one.

import * as api from "../api.js";
import { el, icon, refill } from "../dom.js";
import { hours, when } from "../format.js";
import { askText, complain } from "../overlays.js";
import { empty, skeleton } from "../parts.js";
import { pickSong } from "../picker.js";
import { navigate } from "../router.js";
import { S } from "../strings.js";

async function newPath() {
    const start = await pickSong(S.pickStart);
    const end = start && (await pickSong(S.pickEnd, { without: start.id }));
    if (end) await navigate(`/path/${start.id}/${end.id}`);
}

async function newRadio() {
    const seed = await pickSong(S.pickSeed);
    if (seed) await navigate(`/radio/${seed.id}`);
}

async function newEmpty() {
    const name = await askText(S.newPlaylist, { label: S.playlistName, button: S.save });
    if (!name) return;
    const made = await api.post("/playlists", { name, tracks: [] });
    await navigate(`/playlists/${made.id}`);
}

export async function render({ root, signal, title }) {
    title(S.playlists);
    const way = (picture, name, text, run) =>
        el(
            "li",
            {},
            el(
                "button",
                { type: "button", class: "way", "aria-haspopup": "dialog", on: { click: () => run().catch(complain) } },
                icon(picture),
                el("span", { class: "way-text" }, el("strong", {}, name), el("span", {}, text)),
            ),
        );
    const place = el("div", {}, skeleton(3));
    refill(
        root,
        el("h1", {}, S.playlists),
        el(
            "ul",
            { class: "ways" },
            way("radio", S.newRadio, S.newRadioText, newRadio),
            way("path", S.newPath, S.newPathText, newPath),
            way("add", S.newEmpty, S.newEmptyText, newEmpty),
        ),
        place,
    );
    const { items } = await api.get("/playlists", {}, { signal });
    refill(
        place,
        items.length
            ? el(
                  "ul",
                  { class: "lists", "aria-label": S.playlists },
                  items.map((one) =>
                      el(
                          "li",
                          {},
                          el(
                              "a",
                              { class: "list-card", href: `/playlists/${one.id}` },
                              el("span", { class: "list-icon" }, icon("playlists")),
                              el(
                                  "span",
                                  { class: "way-text" },
                                  el("strong", {}, one.name),
                                  el("span", {}, S.songsAndTime(one.count, hours(one.duration))),
                              ),
                              el("span", { class: "list-when" }, when(one.updated)),
                          ),
                      ),
                  ),
              )
            : empty(S.playlistsEmpty, S.playlistsEmptyText),
    );
}
