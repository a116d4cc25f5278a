// The system's own controls: media keys, headphones, the lock screen.

import { coverUrl } from "./api.js";
import { player } from "./player.js";

const session = navigator.mediaSession;
let shown = null;

/** Tell the system what plays, and take its keys. */
export function joinSystem() {
    if (!session) return;
    const keys = {
        play: () => player.resume(),
        pause: () => player.pause(),
        nexttrack: () => player.next(),
        previoustrack: () => player.previous(),
        seekto: ({ seekTime }) => player.seek(seekTime),
        seekbackward: ({ seekOffset = 10 }) => player.seek(player.position - seekOffset),
        seekforward: ({ seekOffset = 10 }) => player.seek(player.position + seekOffset),
    };
    for (const [name, work] of Object.entries(keys)) {
        try {
            session.setActionHandler(name, work);
        } catch {
            // a browser that does not know this key
        }
    }
    player.addEventListener("track", tell);
    player.addEventListener("state", tell);
}

function tell() {
    const { track, duration, position } = player;
    if (track !== shown) {
        shown = track;
        const artwork = track?.id > 0 ? [{ src: coverUrl(track.id, 512), sizes: "512x512" }] : [];
        const { title, artist, album } = track ?? {};
        session.metadata = track && new MediaMetadata({ title, artist: artist ?? "", album: album ?? "", artwork });
    }
    session.playbackState = track ? (player.playing ? "playing" : "paused") : "none";
    if (track && duration > 0) session.setPositionState?.({ duration, position: Math.min(position, duration) });
}
