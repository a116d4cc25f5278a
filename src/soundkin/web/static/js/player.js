// What plays, and what plays next. Two audio elements take turns: while one plays, the other has the next song ready.

import { audioUrl, get, whyNoAudio } from "./api.js";
import { remember, remembered } from "./dom.js";
import { S } from "./strings.js";

const READY_BEFORE = 20; // seconds before its end at which the next song is fetched
const HAND_OVER = 0.3; // seconds before its end at which the end is awaited by the clock
const LEAD = 0.006; // seconds that a browser takes to begin a song that is ready
const MOST_REMEMBERED = 500; // songs of the queue that a reload keeps

/**
 * The player. Events: `queue` (what is in it), `track` (another song), `state` (plays, waits, stopped, failed),
 * `time`, `volume`. An entry of the queue is `{key, track, from, until, url}`: seconds, and for a file of the user's
 * own that is not in the library the address of its bytes.
 */
class Player extends EventTarget {
    queue = [];
    index = -1;
    failure = null; // {message, track}
    volume = 1;
    muted = false;

    #slots = [this.#slot(), this.#slot()];
    #now = 0; // which of the slots is heard
    #wanted = false; // is there to be sound?
    #transcode = new Set(); // ids of tracks that this browser cannot play as they are
    #keys = 0;
    #saved = 0;
    #at = 0; // where a restored song goes on

    get entry() {
        return this.queue[this.index] ?? null;
    }

    get track() {
        return this.entry?.track ?? null;
    }

    get playing() {
        return this.#wanted;
    }

    get waiting() {
        const { audio, entry } = this.#slots[this.#now];
        return this.#wanted && entry === this.entry && audio.readyState < 3;
    }

    get position() {
        const slot = this.#slots[this.#now];
        return slot.entry && slot.entry === this.entry ? slot.offset + slot.audio.currentTime : this.#at;
    }

    get duration() {
        const slot = this.#slots[this.#now];
        const own = slot.entry === this.entry && !slot.transcoded ? slot.audio.duration : NaN;
        return Number.isFinite(own) && own > 0 ? own : (this.track?.duration ?? 0);
    }

    /** Play these tracks from the one at `index`, instead of what is in the queue. */
    play(tracks, index = 0, { at = 0 } = {}) {
        this.queue = tracks.map((track) => this.#entry(track));
        this.#tell("queue");
        this.#go(index, { at });
    }

    /** Play passages, each `{track, at, seconds}`, one after the other; after the last one its song goes on. */
    playPassages(passages) {
        const entries = passages.map(({ track, at, seconds }, i) => {
            const until = i < passages.length - 1 ? at + seconds : null;
            return { ...this.#entry(track), from: at, until };
        });
        this.queue.splice(this.index + 1, 0, ...entries);
        this.#tell("queue");
        this.#go(this.index + 1);
    }

    add(tracks) {
        this.queue.push(...tracks.map((track) => this.#entry(track)));
        this.#offer();
        this.#changed();
    }

    addNext(tracks) {
        this.queue.splice(this.index + 1, 0, ...tracks.map((track) => this.#entry(track)));
        this.#offer();
        this.#changed();
    }

    /** Where nothing plays yet, have the first song of the queue ready to be played. */
    #offer() {
        if (this.index >= 0 || !this.queue.length) return;
        this.index = 0;
        this.#tell("track");
        this.#tell("state");
    }

    remove(index) {
        const current = index === this.index;
        this.queue.splice(index, 1);
        if (index < this.index) this.index -= 1;
        if (current && this.queue.length) this.#go(Math.min(index, this.queue.length - 1), { play: this.#wanted });
        else if (current) this.clear();
        this.#changed();
    }

    move(from, to) {
        if (to < 0 || to >= this.queue.length) return;
        const current = this.entry;
        this.queue.splice(to, 0, ...this.queue.splice(from, 1));
        this.index = this.queue.indexOf(current);
        this.#changed();
    }

    clear() {
        this.#wanted = false;
        this.#slots.forEach((slot) => this.#empty(slot));
        this.queue = [];
        this.index = -1;
        this.#at = 0;
        this.failure = null;
        this.#changed();
        this.#tell("track");
        this.#tell("state");
    }

    jump(index) {
        if (index >= 0 && index < this.queue.length) this.#go(index);
    }

    toggle() {
        if (this.#wanted) this.pause();
        else this.resume();
    }

    pause() {
        this.#wanted = false;
        this.#slots[this.#now].audio.pause();
        this.#tell("state");
        this.#save();
    }

    resume() {
        if (!this.entry) return;
        const slot = this.#slots[this.#now];
        if (slot.entry !== this.entry || this.failure) return this.#go(this.index, { at: this.position });
        this.#wanted = true;
        this.#start(slot);
    }

    /** Go to the next song; `fading` lets the last milliseconds of this one be heard under its beginning. */
    next({ fading = false } = {}) {
        if (this.index + 1 < this.queue.length) return this.#go(this.index + 1, { fading });
        this.#wanted = false;
        this.#slots[this.#now].audio.pause();
        this.seek(0);
        this.#tell("state");
    }

    previous() {
        if (this.position > 3 || this.index <= 0) this.seek(this.entry?.from ?? 0);
        else this.#go(this.index - 1);
    }

    /** Go on from `seconds` of the song. */
    seek(seconds) {
        if (!this.entry) return;
        const to = Math.max(0, Math.min(seconds, Math.max(0, this.duration - 0.2)));
        this.entry.until = null; // whoever seeks wants more than the passage
        const slot = this.#slots[this.#now];
        if (slot.entry !== this.entry) this.#at = to;
        else if (slot.transcoded) this.#load(slot, this.entry, to, { play: this.#wanted });
        else slot.audio.currentTime = to;
        this.#tell("time");
    }

    setVolume(volume) {
        this.volume = Math.max(0, Math.min(1, volume));
        if (this.volume > 0) this.muted = false;
        this.#applyVolume();
    }

    toggleMute() {
        this.muted = !this.muted;
        this.#applyVolume();
    }

    /** Take up what was there before the page was loaded, paused. */
    async restore() {
        const kept = remembered("player", null);
        this.volume = typeof kept?.volume === "number" ? Math.max(0, Math.min(1, kept.volume)) : 1;
        this.muted = kept?.muted === true;
        this.#applyVolume();
        window.addEventListener("pagehide", () => this.#save());
        if (!Array.isArray(kept?.queue) || !kept.queue.length) return;
        this.queue = kept.queue.filter((track) => track?.id > 0).map((track) => this.#entry(track));
        this.index = Math.max(0, Math.min(kept.index | 0, this.queue.length - 1));
        this.#at = Number(kept.position) || 0;
        this.#changed();
        this.#tell("track");
        await this.#refresh();
    }

    /** What the library says today of the songs that were remembered; what it does not know any more goes. */
    async #refresh() {
        const ids = [...new Set(this.queue.map((entry) => entry.track.id))];
        const known = new Map();
        try {
            for (let i = 0; i < ids.length; i += 100) {
                const { items } = await get("/tracks/batch", { ids: ids.slice(i, i + 100).join(",") });
                for (const track of items) known.set(track.id, track);
            }
        } catch {
            return; // as it was remembered, then
        }
        const current = this.entry;
        this.queue = this.queue.filter((entry) => entry.url || known.has(entry.track.id));
        for (const entry of this.queue) entry.track = known.get(entry.track.id) ?? entry.track;
        this.index = this.queue.indexOf(current);
        if (this.index < 0) {
            this.index = this.queue.length ? 0 : -1;
            this.#at = 0;
        }
        this.#changed();
        this.#tell("track");
    }

    #entry(track) {
        this.#keys += 1;
        return { key: this.#keys, track, from: 0, until: null, url: track.url ?? null };
    }

    #slot() {
        const audio = new Audio();
        audio.preload = "auto";
        const slot = { audio, entry: null, offset: 0, transcoded: false, timer: 0 };
        audio.addEventListener("timeupdate", () => this.#isNow(slot) && this.#progress(slot));
        audio.addEventListener("ended", () => this.#isNow(slot) && this.#wanted && this.next({ fading: true }));
        audio.addEventListener("error", () => this.#failed(slot));
        for (const name of ["playing", "waiting", "canplay", "durationchange"]) {
            audio.addEventListener(name, () => this.#isNow(slot) && this.#tell("state"));
        }
        audio.addEventListener("pause", () => {
            // the system may pause too: another program plays, headphones are pulled out
            if (this.#isNow(slot) && this.#wanted && !audio.ended && slot.entry === this.entry && !slot.loading) {
                this.#wanted = false;
                this.#tell("state");
            }
        });
        return slot;
    }

    #isNow(slot) {
        return this.#slots[this.#now] === slot;
    }

    #go(index, { at = null, play = true, fading = false } = {}) {
        const heard = this.#slots[this.#now];
        const spare = this.#slots[1 - this.#now];
        const entry = this.queue[index];
        this.index = index;
        this.failure = null;
        this.#wanted = play;
        const begin = at ?? entry.from;
        window.clearTimeout(heard.timer);
        const ready = spare.entry === entry && at === null;
        this.#now = 1 - this.#now;
        if (!ready) this.#load(spare, entry, begin, { play });
        else if (play) this.#start(spare); // before anything else: what is done first would be heard as a gap
        if (ready && fading) {
            heard.entry = null;
            heard.timer = window.setTimeout(() => this.#empty(heard), 1000 * HAND_OVER);
        } else this.#empty(heard);
        this.#tell("track");
        this.#tell("state");
        this.#save();
    }

    #load(slot, entry, at, { play }) {
        window.clearTimeout(slot.timer);
        slot.entry = entry;
        slot.transcoded = !entry.url && this.#transcode.has(entry.track.id);
        slot.offset = slot.transcoded ? at : 0;
        slot.loading = true;
        slot.audio.src = entry.url ?? audioUrl(entry.track.id, { transcode: slot.transcoded, start: at });
        if (!slot.transcoded && at > 0) slot.audio.currentTime = at;
        if (play) this.#start(slot);
        slot.loading = false;
    }

    #empty(slot) {
        slot.entry = null;
        window.clearTimeout(slot.timer);
        slot.audio.pause();
        if (slot.audio.hasAttribute("src")) {
            slot.audio.removeAttribute("src");
            slot.audio.load();
        }
    }

    #start(slot) {
        slot.audio.play().catch((error) => {
            if (error.name === "NotAllowedError" && this.#isNow(slot)) this.pause(); // a browser that wants a click first
        });
        this.#tell("state");
    }

    #progress(slot) {
        this.#tell("time");
        const { until } = slot.entry ?? {};
        if (until !== null && until !== undefined && this.position >= until) return this.next();
        const left = this.duration - this.position;
        const following = this.queue[this.index + 1];
        const spare = this.#slots[1 - this.#now];
        if (following && this.#wanted && (left < READY_BEFORE || until) && spare.entry !== following) {
            this.#load(spare, following, following.from, { play: false });
        }
        window.clearTimeout(slot.timer);
        if (following && this.#wanted && !slot.transcoded && left < HAND_OVER && spare.entry === following) {
            slot.timer = window.setTimeout(
                () => this.#isNow(slot) && this.#wanted && this.next({ fading: true }),
                1000 * Math.max(0, left - LEAD),
            );
        }
        if (Date.now() - this.#saved > 4000) this.#save();
    }

    async #failed(slot) {
        const { entry } = slot;
        if (!entry || !slot.audio.error) return;
        const at = this.#isNow(slot) && entry === this.entry ? Math.max(this.position, entry.from) : entry.from;
        const unplayable = slot.audio.error.code >= MediaError.MEDIA_ERR_DECODE;
        if (unplayable && !slot.transcoded && !entry.url && entry.track.has_file !== false) {
            this.#transcode.add(entry.track.id);
            return this.#load(slot, entry, at, { play: this.#wanted && this.#isNow(slot) });
        }
        slot.entry = null;
        if (entry !== this.entry || !this.#isNow(slot)) return; // only made ready: it is tried again when its turn comes
        this.#at = at;
        this.#wanted = false;
        const told = entry.url ? S.cannotPlayHere : await whyNoAudio(entry.track.id);
        if (entry !== this.entry) return;
        this.failure = { message: told ?? S.cannotPlay, track: entry.track };
        this.#tell("state");
    }

    #applyVolume() {
        for (const { audio } of this.#slots) {
            audio.volume = this.volume;
            audio.muted = this.muted;
        }
        this.#tell("volume");
        this.#save();
    }

    #changed() {
        this.#tell("queue");
        this.#save();
    }

    #save() {
        this.#saved = Date.now();
        const first = Math.max(0, this.index - 50);
        const kept = this.queue.slice(first, first + MOST_REMEMBERED).filter((entry) => entry.track.id > 0);
        remember("player", {
            queue: kept.map((entry) => entry.track),
            index: Math.max(0, kept.indexOf(this.entry)),
            position: kept.includes(this.entry) ? this.position : 0,
            volume: this.volume,
            muted: this.muted,
        });
    }

    #tell(name) {
        this.dispatchEvent(new Event(name));
    }
}

export const player = new Player();

/** Does this track play, or wait paused, right now? "playing", "paused" or "". */
export function playState(track) {
    if (!player.track || player.track.id !== track.id || (track.id === 0 && player.track.token !== track.token))
        return "";
    return player.playing ? "playing" : "paused";
}
